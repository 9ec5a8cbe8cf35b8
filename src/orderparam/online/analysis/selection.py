"""Which of the many zero-loss solutions training selects, and what it conserves on the way."""

import math
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Float

from orderparam.contract import SavePlan
from orderparam.errors import InvalidProblem, NotConverged
from orderparam.online.methods.ode import OverlapODE
from orderparam.online.model.input_spectrum import require_unit_inputs
from orderparam.online.model.overlaps import Overlaps
from orderparam.online.problem import TeacherStudent, checked_problem
from orderparam.online.theory.isotropic import Isotropic, isotropic
from orderparam.support.arguments import integer, one_of, refuse
from orderparam.support.arrays import array
from orderparam.support.keywords import known_keywords

AXES = (2, 3, 4)
"""Axes of one matrix, or of many."""

_SETTLED = 0.02
"""Distance and movement, in units of M, at which the end of a run counts as a solution."""


@dataclass(frozen=True)
class Selected:
    """The predicted end of a run.

    Args:
        O: Orthonormal frame: the students end at W = s O W*.
        overlaps: Q and M there.
        squared_distance: |W(0) - s O W*|^2/N.
        exact: Whether the equations end at exactly these overlaps: route `"polar"`, p >= p*, T and
            Q(0) multiples of the identity, no label noise, no offset, and a learning rate below
            the critical one.
    """

    O: Float[np.ndarray, "*draw student teacher"]  # noqa: E741
    overlaps: Overlaps
    squared_distance: Float[np.ndarray, "*draw"]
    exact: bool


@known_keywords
def polar_factor(
    M: Float[np.ndarray, "*batch student teacher"],
) -> Float[np.ndarray, "*batch student teacher"]:
    """U V^T of the singular value decomposition M = U S V^T.

    Conserved by the overlap equations at every learning rate, label noise and weight decay where
    A, B, T and Q(0) are multiples of the identity. Source: docs/theory/online.md, Conserved
    quantities.
    """
    left, _, right = np.linalg.svd(matrices("M", M), full_matrices=False)
    return left @ right


def matrices(name: str, value: Any) -> Float[np.ndarray, "*batch row column"]:
    """One matrix, or many with leading axes, each with at least one entry."""
    found = array(name, value, AXES)
    if found.size == 0:
        raise refuse(name, value, "matrices with at least one entry", "give one")
    return found


@known_keywords
def gram_schmidt_factor(
    M: Float[np.ndarray, "*batch student teacher"], T: Float[np.ndarray, "*batch teacher teacher"]
) -> Float[np.ndarray, "*batch student teacher"]:
    """Gram-Schmidt frame of M's columns in the eigenbasis of T, largest eigenvalue first.

    What training selects where teacher directions are learned one after the other.
    """
    M, T = matrices("M", M), matrices("T", T)
    if T.shape[-2:] != (M.shape[-1],) * 2 or T.ndim not in (2, M.ndim):
        raise refuse("T", T, f"a square matrix of size {M.shape[-1]}, as `M` has columns")
    if M.shape[-2] < M.shape[-1]:
        raise refuse("M", M, "a matrix with at least as many rows as columns")
    _, vectors = np.linalg.eigh(T)
    vectors = vectors[..., ::-1]
    frame, triangle = np.linalg.qr(M @ vectors)
    signs = np.sign(np.diagonal(triangle, axis1=-2, axis2=-1))
    return (frame * signs[..., None, :]) @ np.swapaxes(vectors, -1, -2)


@known_keywords
def manifold_dimension(students: int, teachers: int) -> int:
    """Dimension p p* - p*(p* + 1)/2 of the zero-loss manifold {s O W*}, O with orthonormal columns.

    Raises:
        InvalidProblem: If p < p*, where no student reaches zero loss.

    Example:
        >>> manifold_dimension(1, 1), manifold_dimension(2, 2), manifold_dimension(4, 2)
        (0, 1, 5)
    """
    students, teachers = integer("students", students), integer("teachers", teachers)
    if students < teachers:
        raise InvalidProblem(
            f"Argument `students` is {students}, which cannot reach zero loss on {teachers} "
            "`teachers`; the manifold exists for p >= p*."
        )
    return students * teachers - teachers * (teachers + 1) // 2


@known_keywords
def selected_solution(problem: TeacherStudent, route: str = "polar") -> Selected:
    """The solution that training selects from the problem's start.

    Args:
        problem: Quadratic, with uniform positive second layers, p >= p* (or isotropic for p < p*).
            Where T and Q(0) are multiples of the identity every learning rate and schedule below
            the critical one selects the same frame; elsewhere the frame depends on it.
        route: `"polar"`: the closest point of the manifold to the initial weights (orthogonal
            Procrustes), exact for isotropic teachers and starts; `"gram_schmidt"`: for well
            separated teacher eigenvalues and small M(0); `"ode"`: the end of the integrated
            equations, the reference for both. Label noise, and teachers that are too many to
            learn (p < p*), change the size s of a finite rate's end: only `"ode"` has it.

    Raises:
        InvalidProblem: If M(0) vanishes, T is singular, or `route` is unknown.
        UnsupportedCombination: If the second layers are not uniform or positive.
        NotConverged: If the route is `"ode"` and at its end M still moves by more than 2 %, or is
            more than 2 % away from every s O T.

    Source: Bocchi et al. (2026); docs/theory/online.md, Selected solution.
    """
    checked_problem(problem)
    route = one_of("route", route, ("polar", "gram_schmidt", "ode"))
    require_unit_inputs(problem.spectrum, "The selected solution")
    start = problem.preactivations()
    Q, M, T = start.Q, start.M, start.T
    unit = np.broadcast_to(np.eye(T.shape[-1]), T.shape)
    scalar = Overlaps(Q, 0 * M, unit)
    numbers = isotropic(_at_constant_rate(problem, scalar))
    if np.linalg.svd(M, compute_uv=False).min() == 0:
        raise InvalidProblem(
            "The initial overlaps `M` do not have full rank, so no solution is selected; start "
            "with random overlaps."
        )
    if np.linalg.eigvalsh(T).min() <= 0:
        raise InvalidProblem("The teacher overlaps `T` are singular; drop dependent teachers.")
    p, q = numbers.p, numbers.q
    scale = math.sqrt(numbers.b / numbers.a * max((q + 2) / (p + 2), 1.0))
    if route == "ode":
        return _integrated(problem)
    O = polar_factor(M) if route == "polar" else gram_schmidt_factor(M, T)  # noqa: E741
    turned = np.swapaxes(O, -1, -2)
    end = Overlaps(scale**2 * O @ T @ turned, scale * O @ T, T, start.dimension)
    exact = route == "polar" and p >= q and _exact(problem, numbers)
    return Selected(O, end, _distance(problem, O, np.asarray(scale), end), exact)


def _distance(
    problem: TeacherStudent, frame: np.ndarray, scale: np.ndarray, end: Overlaps
) -> Float[np.ndarray, "*draw"]:
    """|W(0) - s O W*|^2/N."""
    cross = np.sum(frame * problem.start.M, axis=(-1, -2))
    lengths = sum(np.trace(Q, axis1=-2, axis2=-1) for Q in (problem.start.Q, end.Q))
    return np.asarray(lengths - 2 * scale * cross)


def _integrated(problem: TeacherStudent) -> Selected:
    """The end of the integrated equations, with the frame O and the size s of M = s O T."""
    plan = SavePlan(times=(0.0, 0.8 * problem.duration, problem.duration))
    solution = OverlapODE().run(problem, save=plan)
    before, M = (solution["M"].isel(time=at).values for at in (-2, -1))
    T, size = problem.start.T, np.linalg.norm(solution["M"].isel(time=-1).values, axis=(-2, -1))
    frame = polar_factor(M @ np.linalg.inv(T))
    shape = frame @ T
    scale = np.sum(M * shape, axis=(-1, -2)) / np.sum(shape**2, axis=(-1, -2))
    away = M - scale[..., None, None] * shape
    off, moved = (
        float((np.linalg.norm(part, axis=(-2, -1)) / size).max()) for part in (away, M - before)
    )
    if max(off, moved) > _SETTLED:
        raise NotConverged(
            f"At time {problem.duration:g} M is {off:.1%} away from a solution s O T, and moved by "
            f"{moved:.1%} in the last fifth of the run; raise `duration`."
        )
    end = Overlaps(solution["Q"].isel(time=-1).values, M, T, problem.start.dimension)
    return Selected(frame, end, _distance(problem, frame, np.asarray(scale), end), False)


def _at_constant_rate(problem: TeacherStudent, start: Overlaps) -> Any:
    """The problem with another start, and without the schedule, on which no frame depends."""
    fields = (start, None)
    return eqx.tree_at(lambda p: (p.start, p.schedule), problem, fields, is_leaf=_is_none)


def _is_none(value: Any) -> bool:
    return value is None


def _exact(problem: TeacherStudent, numbers: Isotropic) -> bool:
    """Whether the equations end at the closest solution, up to rounding."""
    fastest = 1.0 if problem.schedule is None else float(problem.schedule.values.max())
    if problem.label_noise or abs(numbers.offset) > 1e-12 * numbers.b:
        return False
    theta = float(np.max(np.trace(problem.start.T, axis1=-2, axis2=-1))) / numbers.q
    if numbers.eta * fastest * theta >= numbers.critical_learning_rate:  # that of T = 1
        return False
    for part in (problem.start.T, problem.start.Q):
        size = part.shape[-1]
        level = np.trace(part, axis1=-2, axis2=-1)[..., None, None] / size
        if np.abs(part - level * np.eye(size)).max() > 1e-10 * np.abs(part).max():
            return False
    return True
