"""Random weights to start from, by their overlaps alone."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from orderparam.errors import InvalidProblem
from orderparam.online.model.overlaps import Overlaps
from orderparam.support.arguments import integer, one_of, positive, shown
from orderparam.support.arrays import array
from orderparam.support.keywords import known_keywords
from orderparam.support.memory import require_numbers


@known_keywords
def random_overlaps(
    students: int,
    teachers: int,
    dimension: int,
    draws: int | None = None,
    *,
    norm: float = 1.0,
    teacher_norm: float | Sequence[float] = 1.0,
    student: str = "gaussian",
    teacher: str = "orthogonal",
    seed: int = 0,
) -> Overlaps:
    """Overlaps of random weights in N dimensions, without any vector of that length.

    The Gram matrix of Gaussian vectors is a Wishart matrix, drawn by its Bartlett factor; N may be
    10^12. `"orthogonal"` rows have no overlap among each other at all (Haar distributed).

    Args:
        students: p.
        teachers: p*.
        dimension: N, at least p + p*.
        draws: How many states; `None` for a single one without leading axis.
        norm: q0, the (mean) squared length of a student vector divided by N.
        teacher_norm: theta, the same for the teacher; a sequence gives each vector its own.
        student: `"gaussian"` or `"orthogonal"`.
        teacher: `"orthogonal"` (T exactly diagonal) or `"gaussian"`.
        seed: Seed of the draws.

    Raises:
        InvalidProblem: If a value is outside its range.

    Cost: O((p + p*)^3) per draw, whatever N.
    """
    p, q, n = (
        integer("students", students),
        integer("teachers", teachers),
        integer("dimension", dimension),
    )
    kinds = ("gaussian", "orthogonal")
    student, teacher = one_of("student", student, kinds), one_of("teacher", teacher, kinds)
    q0 = positive("norm", norm)
    theta = array("teacher_norm", teacher_norm, (0, 1))
    if (theta.ndim and theta.shape != (q,)) or (theta <= 0).any():
        raise InvalidProblem(
            f"Argument `teacher_norm` must be a positive number or {q} of them, one for each "
            f"teacher vector, but is {shown(teacher_norm)}; change it."
        )
    if n < p + q:
        raise InvalidProblem(
            f"Argument `dimension` is {n}, but {p} students and {q} teachers need at least "
            f"{p + q}; raise it."
        )
    single, size = draws is None, 1 if draws is None else integer("draws", draws)
    seed = integer("seed", seed, 0)
    units = (p + q) ** 2
    require_numbers("draws" if size > units else "students", 4 * size * units)
    factor = _bartlett(np.random.default_rng([seed, n, p, q]), size, p + q, n)
    # Teacher rows first: their block of the factor is the teacher's own Bartlett factor.
    rows_t, rows_s = factor[:, :q], factor[:, q:]
    rows_t = _orthonormal(rows_t) if teacher == "orthogonal" else rows_t
    rows_s = _orthonormal(rows_s) if student == "orthogonal" else rows_s
    rows = np.concatenate([rows_s * np.sqrt(q0), rows_t * np.sqrt(theta)[..., None]], axis=1)
    gram = rows @ np.swapaxes(rows, -1, -2)
    Q, M, T = gram[:, :p, :p], gram[:, :p, p:], gram[:, p:, p:]
    if teacher == "orthogonal":
        T = np.broadcast_to(np.diag(np.broadcast_to(theta, q)), T.shape)
    if student == "orthogonal":
        Q = np.broadcast_to(q0 * np.eye(p), Q.shape)
    return Overlaps(*((Q[0], M[0], T[0]) if single else (Q, M, T)), n)


def _bartlett(
    rng: np.random.Generator, size: int, units: int, dimension: int
) -> Float[np.ndarray, "draw unit unit"]:
    """Coordinates of Gaussian vectors of length N in the frame they span, divided by sqrt(N)."""
    factor = np.tril(rng.standard_normal((size, units, units)), -1)
    freedom = dimension - np.arange(units)
    diagonal = np.sqrt(rng.chisquare(freedom, (size, units)))
    factor[:, np.arange(units), np.arange(units)] = diagonal
    return factor / np.sqrt(dimension)


def _orthonormal(rows: Float[np.ndarray, "draw row unit"]) -> Float[np.ndarray, "draw row unit"]:
    """The orthonormal rows nearest to the given ones (polar factor), which keeps them Haar."""
    left, _, right = np.linalg.svd(rows, full_matrices=False)
    return left @ right
