"""Which of the many zero-loss solutions training selects, and what it conserves on the way."""

import math
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float
from scipy.linalg import expm

from orderparam.contract import SavePlan
from orderparam.errors import InvalidProblem, NotConverged
from orderparam.online.methods.ode import OverlapODE
from orderparam.online.model.input_spectrum import require_unit_inputs
from orderparam.online.model.overlaps import Overlaps
from orderparam.online.problem import TeacherStudent, checked_problem
from orderparam.online.theory.isotropic import isotropic
from orderparam.support.arguments import integer, one_of, refuse
from orderparam.support.arrays import array

AXES = (2, 3, 4)
"""Axes of one matrix, or of many."""


@dataclass(frozen=True)
class Selected:
    """The predicted end of a run.

    Args:
        O: Orthonormal frame: the students end at W = s O W*.
        overlaps: Q and M there.
        squared_distance: |W(0) - s O W*|^2/N.
        exact: Whether the hypotheses hold under which the polar factor is selected exactly.
    """

    O: Float[np.ndarray, "*draw student teacher"]  # noqa: E741
    overlaps: Overlaps
    squared_distance: Float[np.ndarray, "*draw"]
    exact: bool


def polar_factor(
    M: Float[np.ndarray, "*batch student teacher"],
) -> Float[np.ndarray, "*batch student teacher"]:
    """U V^T of the singular value decomposition M = U S V^T.

    Conserved by the overlap equations at every learning rate, label noise and weight decay where
    A, B, T and Q(0) are multiples of the identity. Source: docs/theory/online.md, Conserved
    quantities.
    """
    left, _, right = np.linalg.svd(_matrices("M", M), full_matrices=False)
    return left @ right


def _matrices(name: str, value: Any) -> Float[np.ndarray, "*batch row column"]:
    """One matrix, or many with leading axes, each with at least one entry."""
    found = array(name, value, AXES)
    if found.size == 0:
        raise refuse(name, value, "matrices with at least one entry", "give one")
    return found


def gram_schmidt_factor(
    M: Float[np.ndarray, "*batch student teacher"], T: Float[np.ndarray, "*batch teacher teacher"]
) -> Float[np.ndarray, "*batch student teacher"]:
    """Gram-Schmidt frame of M's columns in the eigenbasis of T, largest eigenvalue first.

    What training selects where teacher directions are learned one after the other.
    """
    M, T = _matrices("M", M), _matrices("T", T)
    if T.shape[-2:] != (M.shape[-1],) * 2 or T.ndim not in (2, M.ndim):
        raise refuse("T", T, f"a square matrix of size {M.shape[-1]}, as `M` has columns")
    if M.shape[-2] < M.shape[-1]:
        raise refuse("M", M, "a matrix with at least as many rows as columns")
    _, vectors = np.linalg.eigh(T)
    vectors = vectors[..., ::-1]
    frame, triangle = np.linalg.qr(M @ vectors)
    signs = np.sign(np.diagonal(triangle, axis1=-2, axis2=-1))
    return (frame * signs[..., None, :]) @ np.swapaxes(vectors, -1, -2)


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


def selected_solution(problem: TeacherStudent, route: str = "polar") -> Selected:
    """The solution that training selects from the problem's start.

    Args:
        problem: Quadratic, with uniform positive second layers, p >= p* (or isotropic for p < p*).
            Every learning rate and schedule under which training converges selects the same.
        route: `"polar"`: the closest point of the manifold to the initial weights (orthogonal
            Procrustes), exact for isotropic teachers; `"gram_schmidt"`: for well separated teacher
            eigenvalues and small M(0); `"ode"`: the end of the integrated equations, the
            reference for both.

    Raises:
        InvalidProblem: If M(0) vanishes, T is singular, or `route` is unknown.
        UnsupportedCombination: If the second layers are not uniform or positive.
        NotConverged: If the route is `"ode"` and the duration ends more than 2 % from a solution.

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
        O = _integrated(problem, scale)  # noqa: E741
    else:
        O = polar_factor(M) if route == "polar" else gram_schmidt_factor(M, T)  # noqa: E741
    turned = np.swapaxes(O, -1, -2)
    end = Overlaps(scale**2 * O @ T @ turned, scale * O @ T, T, start.dimension)
    cross = np.sum(O * M, axis=(-1, -2))
    lengths = np.trace(Q, axis1=-2, axis2=-1) + np.trace(end.Q, axis1=-2, axis2=-1)
    return Selected(O, end, np.asarray(lengths - 2 * scale * cross), _exact(problem))


def _integrated(
    problem: TeacherStudent, scale: float
) -> Float[np.ndarray, "*draw student teacher"]:
    """The frame O of M = s O T at the end of the integrated equations."""
    plan = SavePlan(times=(0.0, problem.duration))
    solution = OverlapODE().run(problem, save=plan)
    M, T = solution["M"].isel(time=-1).values, problem.start.T
    frame = polar_factor(M @ np.linalg.inv(T))
    end = scale * frame @ T
    off = float((np.linalg.norm(M - end, axis=(-2, -1)) / np.linalg.norm(end, axis=(-2, -1))).max())
    if off > 0.02:
        raise NotConverged(
            f"At time {problem.duration:g} M is still {off:.1%} away from a solution s O T; raise "
            "`duration`."
        )
    return frame


def _at_constant_rate(problem: TeacherStudent, start: Overlaps) -> Any:
    """The problem with another start, and without the schedule, on which no frame depends."""
    fields = (start, None)
    return eqx.tree_at(lambda p: (p.start, p.schedule), problem, fields, is_leaf=_is_none)


def _is_none(value: Any) -> bool:
    return value is None


def _exact(problem: TeacherStudent) -> bool:
    """Whether T and Q(0) are multiples of the identity, up to rounding."""
    for part in (problem.start.T, problem.start.Q):
        size = part.shape[-1]
        level = np.trace(part, axis1=-2, axis2=-1)[..., None, None] / size
        if np.abs(part - level * np.eye(size)).max() > 1e-10 * np.abs(part).max():
            return False
    return True


def conserved_matrix(
    problem: TeacherStudent,
    times: Float[np.ndarray, " time"],
    Q: Float[np.ndarray, "time student student"],
    M: Float[np.ndarray, "time student teacher"],
    T: Float[np.ndarray, "teacher teacher"],
) -> tuple[Float[np.ndarray, "time teacher teacher"], Bool[np.ndarray, " time"]]:
    """X = E^T M^T rho^-1 M E, constant in gradient flow for every T and Q(0).

    `rho = Q - M T^-1 M^T`, `E = exp(-4 a B T s)` with s = eta t, or the integral of eta(t) up to t
    for a rate that follows a schedule. It is known only while rho, a difference, is
    larger than rounding.

    Returns:
        X, and at which times the smallest eigenvalue of rho exceeds 1e-7 of Q's largest.

    Source: docs/theory/online.md, Conserved quantities.
    """
    require_unit_inputs(checked_problem(problem).spectrum, "The conserved matrix")
    times, T = array("times", times, (1,)), _matrices("T", T)
    Q, M = _matrices("Q", Q), _matrices("M", M)
    p, q, n = problem.students, problem.teachers, len(times)
    for name, part, shape in (("Q", Q, (n, p, p)), ("M", M, (n, p, q)), ("T", T, (q, q))):
        if part.shape != shape:
            raise refuse(name, part, f"an array of shape {shape}", "give one matrix for each time")
    if np.linalg.matrix_rank(T) < q:
        raise InvalidProblem("Argument `T` is singular; drop dependent teachers.")
    a = float(problem.A[0])
    schedule, eta = problem.schedule, problem.learning_rate / (1 - problem.momentum)
    flow = eta * (times if schedule is None else schedule.integral(problem.duration, times))
    rho = Q - M @ np.linalg.inv(T) @ np.swapaxes(M, -1, -2)
    known = np.linalg.eigvalsh(rho)[:, 0] > 1e-7 * np.linalg.eigvalsh(Q)[:, -1]
    inner = np.swapaxes(M, -1, -2) @ np.linalg.solve(rho, M)
    decay = expm(-4 * a * (np.diag(problem.B) @ T) * flow[:, None, None])
    return np.swapaxes(decay, -1, -2) @ inner @ decay, known
