"""Spectrum of the Hessian of the population loss, at any dimension, from overlaps alone.

The Hessian with respect to U = W/sqrt(N) splits into directions outside the space spanned by
students and teachers (p different eigenvalues, N - r times each) and a block of size p r inside.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.online.model.input_spectrum import require_unit_inputs
from orderparam.online.model.overlaps import Overlaps
from orderparam.online.problem import TeacherStudent, checked_problem
from orderparam.online.theory.isotropic import isotropic
from orderparam.support.arguments import instance, integer, one_of
from orderparam.support.keywords import known_keywords

_DEPENDENT = 1e-10


@dataclass(frozen=True)
class HessianSpectrum:
    """Eigenvalues with multiplicities.

    Args:
        values: Ascending.
        multiplicity: How often each occurs; they add up to p N.
        squared_gradient: |grad|^2 of the loss with respect to U; the words saddle and minimum have
            a meaning only where it vanishes.
    """

    values: Float[np.ndarray, " value"]
    multiplicity: Int[np.ndarray, " value"]
    squared_gradient: float

    def table(self, tolerance: float = 1e-8) -> list[tuple[float, int]]:
        """Different eigenvalues, closer ones taken as one, with their multiplicities."""
        span = tolerance * max(1.0, float(np.abs(self.values).max()))
        groups = np.concatenate([[0], np.cumsum(np.diff(self.values) > span)])
        found = []
        for group in range(groups[-1] + 1):
            members = groups == group
            number = int(self.multiplicity[members].sum())
            mean = float(self.values[members] @ self.multiplicity[members]) / number
            found.append((mean, number))
        return found

    def negative(self, tolerance: float = 1e-8) -> int:
        """How many eigenvalues are below zero."""
        return int(self.multiplicity[self.values < -tolerance].sum())

    def zero(self, tolerance: float = 1e-8) -> int:
        """How many eigenvalues vanish."""
        return int(self.multiplicity[np.abs(self.values) <= tolerance].sum())


@known_keywords
def hessian_spectrum(
    problem: TeacherStudent, overlaps: Overlaps | None = None, dimension: int | None = None
) -> HessianSpectrum:
    """Spectrum of the Hessian with respect to U at given overlaps.

    Args:
        problem: Of quadratic activation, with frozen second layer.
        overlaps: A single state; the problem's start if `None`.
        dimension: N, at least the rank of the joint Gram matrix.

    Returns:
        The spectrum of p N eigenvalues.

    Raises:
        UnsupportedCombination: For another activation, outputs centred on their means or structured
            inputs.
        InvalidProblem: If there are many states, or N is too small.

    Cost: O((p (p + p*))^3), whatever N. Source: docs/theory/online.md, Hessian.
    """
    checked_problem(problem)
    if problem.activation != "quadratic" or problem.centering == "population":
        raise UnsupportedCombination(
            "The Hessian is known for the quadratic activation with a constant offset; choose one."
        )
    require_unit_inputs(problem.spectrum, "The Hessian")
    state = problem.preactivations() if overlaps is None else overlaps
    instance("overlaps", state, Overlaps, "build one with orderparam.online")
    if (state.students, state.teachers) != (problem.students, problem.teachers):
        raise InvalidProblem(
            f"Argument `overlaps` has {state.students} students and {state.teachers} teachers, but "
            f"the problem has {problem.students} and {problem.teachers}; give as many."
        )
    if state.draws is not None:
        raise InvalidProblem("The Hessian is that of a single state; give one without `draws`.")
    size = state.dimension if dimension is None else integer("dimension", dimension)
    if size is None:
        raise InvalidProblem("Multiplicities depend on N; give `dimension`.")
    U, teacher, rank = _coordinates(state)
    outside = size - rank
    if outside < 0:
        raise InvalidProblem(
            f"Argument `dimension` is {size}, but students and teachers span {rank} dimensions; "
            "raise it."
        )
    block, bulk, gradient = _blocks(U, teacher, problem)
    values = np.concatenate([np.linalg.eigvalsh(block), np.linalg.eigvalsh(bulk)])
    numbers = np.concatenate([np.ones(len(block), int), np.full(len(bulk), outside)])
    order = np.argsort(values, kind="stable")
    order = order[numbers[order] > 0]
    return HessianSpectrum(values[order], numbers[order], gradient)


def _coordinates(state: Overlaps) -> tuple[np.ndarray, np.ndarray, int]:
    """Rows of U and U* in an orthonormal basis of the space that they span, and its dimension."""
    values, vectors = np.linalg.eigh(state.gram())
    kept = values > _DEPENDENT * values[-1]
    rows = vectors[:, kept] * np.sqrt(values[kept])
    return rows[: state.students], rows[state.students :], int(kept.sum())


def _blocks(
    U: Float[np.ndarray, "student rank"],
    teacher: Float[np.ndarray, "teacher rank"],
    problem: TeacherStudent,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Inner block, matrix of the outer directions, and squared gradient."""
    A, B = problem.A, problem.B
    p, rank = U.shape
    D = U.T @ (A[:, None] * U) - teacher.T @ (B[:, None] * teacher)
    mean = np.trace(D) - problem.offset - problem.shift * (A.sum() - B.sum())
    F = mean * np.eye(rank) + 2 * D
    Q, AU = U @ U.T, A[:, None] * U
    block = 4 * np.einsum("ka,lb->kalb", AU, AU)
    block += 2 * np.einsum("kl,ab->kalb", np.diag(A), F)
    block += 4 * np.einsum("k,l,la,kb->kalb", A, A, U, U)
    block += 4 * np.einsum("k,l,kl,ab->kalb", A, A, Q, np.eye(rank))
    bulk = 2 * mean * np.diag(A) + 4 * A[:, None] * Q * A
    gradient = float(np.sum((2 * AU @ F) ** 2))
    return block.reshape(p * rank, p * rank), bulk, gradient


@known_keywords
def closed_spectrum(problem: TeacherStudent, point: str, dimension: int) -> list[tuple[float, int]]:
    """Closed form at a critical point of the isotropic model without offset.

    Args:
        problem: Isotropic and quadratic.
        point: `"origin"`, `"plateau"` (that of gradient flow) or `"solution"` (p >= p*).
        dimension: N.

    Returns:
        (eigenvalue, multiplicity), ascending; equal eigenvalues are listed together.

    Source: docs/theory/online.md, Hessian.
    """
    point = one_of("point", point, ("origin", "plateau", "solution"))
    numbers = isotropic(problem)
    p, q = numbers.p, numbers.q
    N = integer("dimension", dimension, p + q, advice="students and teachers need as many")
    unit = numbers.a * numbers.b * numbers.theta
    if point == "solution" and p < q:
        raise InvalidProblem("There is no zero-loss solution for p < p*; choose another point.")
    pairs, teachers = p * (p + 1) // 2, q * (q + 1) // 2
    tables = {
        "origin": [(-2.0 * q, p * (N - q)), (-2.0 * (q + 2), p * q)],
        "plateau": [
            (-4.0, p * q),
            (0.0, p * (N - p - q) + p * (p - 1) // 2),
            (8.0 * q / (p + 2), pairs - 1),
            (4.0 * q, 1),
        ],
        "solution": [
            (0.0, (p - q) * N + q * (q - 1) // 2),
            (4.0, q * (N - q)),
            (8.0, teachers - 1),
            (4.0 * (q + 2), 1),
        ],
    }
    merged: dict[float, int] = {}
    for value, number in tables[point]:
        merged[value * unit] = merged.get(value * unit, 0) + number
    return sorted((value, number) for value, number in merged.items() if number)
