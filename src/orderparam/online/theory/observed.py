"""What follows from overlaps: losses and alignment, the same for theory and runs."""

import numpy as np
from jaxtyping import Float

from orderparam.online.problem import TeacherStudent
from orderparam.online.theory.flow import fixed_of, population_loss
from orderparam.online.theory.moments import State
from orderparam.support.settings import library_settings

_SAFE = 1e-8
"""Determinant of a Gram matrix, in units of its largest entry, that can be inverted."""

_PART = 4096
"""States in one part of the elimination: as many as stay in the fast memory of a processor."""


def measured(
    problem: TeacherStudent, Q: np.ndarray, M: np.ndarray, A: np.ndarray
) -> dict[str, np.ndarray]:
    """Every variable that follows from the overlaps of axes (..., replicate, time, unit, unit).

    With structured inputs they have an axis for the bin before the units. States that are not
    finite (after a blow-up) give NaN.
    """
    if problem.spectrum is not None:
        parts = {"Q_b": Q, "M_b": M}
        Q, M = (problem.spectrum.weighted(part) for part in (Q, M))
        lost = ~np.isfinite(Q.sum((-1, -2)))[..., None, None, None]
        binned = {name: np.where(lost, np.nan, part) for name, part in parts.items()}
        return binned | _of_covariances(problem, Q, M, A)
    return _of_covariances(problem, Q, M, A)


def _of_covariances(
    problem: TeacherStudent, Q: np.ndarray, M: np.ndarray, A: np.ndarray
) -> dict[str, np.ndarray]:
    """Every variable that follows from the covariances of the pre-activations."""
    sums = _sums(Q, 2) + _sums(M, 2) + _sums(A, 1)
    finite = np.asarray(np.isfinite(sums))
    every = bool(finite.all())
    T = problem.preactivations().flat().T[:, None]
    inverse = _inverse(T[:, 0])[:, None]
    T = np.broadcast_to(T, (*finite.shape, *T.shape[-2:]))

    def kept(part: np.ndarray) -> np.ndarray:
        return part.reshape(-1, *part.shape[finite.ndim :]) if every else part[finite]

    def spread(part: np.ndarray) -> np.ndarray:
        if every:
            return part.reshape(finite.shape)
        full = np.full(finite.shape, np.nan)
        full[finite] = part
        return full

    def known(part: np.ndarray) -> np.ndarray:
        mask = finite.reshape(*finite.shape, *(1,) * (part.ndim - finite.ndim))
        return part if every else np.where(mask, part, np.nan)

    loss = spread(losses(problem, *(kept(part) for part in (Q, M, T, A))))
    aligned = spread(alignment(*(kept(part) for part in (Q, M, known(M) @ inverse))))
    values = {"Q": known(Q), "M": known(M), "loss": loss, "mse": 2 * loss, "alignment": aligned}
    if problem.second_layer_rate > 0:
        values["A"] = known(A)
    return values


def losses(
    problem: TeacherStudent, Q: np.ndarray, M: np.ndarray, T: np.ndarray, A: np.ndarray
) -> Float[np.ndarray, " point"]:
    """The population loss at many states, in float64 whatever the caller's setting."""
    with library_settings():
        states = State(*(np.asarray(part, float) for part in (Q, M, A)))
        fixed = fixed_of(problem, np.asarray(T, float))
        return np.asarray(population_loss(states, fixed, problem.activation))


def alignment(
    Q: Float[np.ndarray, "point student student"],
    M: Float[np.ndarray, "point student teacher"],
    teachers: Float[np.ndarray, "point student teacher"],
) -> Float[np.ndarray, " point"]:
    """tr(Q^-1 M T^-1 M^T)/min(p, p*) with `teachers = M T^-1`.

    Inverses are pseudo-inverses where vectors are dependent.
    """
    aligned = np.empty(len(Q))
    for first in range(0, len(Q), _PART):
        part = slice(first, first + _PART)
        aligned[part] = np.einsum("pkm,pkm->p", _solved(Q[part], M[part]), teachers[part])
    return aligned / min(M.shape[-2:])


def _sums(parts: Float[np.ndarray, "..."], axes: int) -> Float[np.ndarray, "..."]:
    """Sums over the last axes, all of a few entries, for which a product is the fastest."""
    lead = parts.shape[:-axes]
    flat = parts.reshape(*lead, -1)
    return flat @ np.ones(flat.shape[-1])


def _solved(
    gram: Float[np.ndarray, "point n n"], right: Float[np.ndarray, "point n m"]
) -> Float[np.ndarray, "point n m"]:
    """`gram^-1 right` for Gram matrices, by elimination at all points at once."""
    size, norm = gram.shape[-1], _norm(gram)
    both = np.concatenate([gram / norm[:, None, None], right], axis=-1).transpose(1, 2, 0).copy()
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for i in range(size):
            factor = both[i + 1 :, i] / both[i, i]
            both[i + 1 :, i + 1 :] -= factor[:, None] * both[i, i + 1 :]
        solved = both[:, size:]
        for i in reversed(range(size)):
            for j in range(i + 1, size):
                solved[i] -= both[i, j] * solved[j]
            solved[i] /= both[i, i]
        pivots = np.prod(both[np.arange(size), np.arange(size)], axis=0)
    result = solved.transpose(2, 0, 1) / norm[:, None, None]
    flat = ~(pivots > _SAFE)
    if flat.any():
        result[flat] = _inverse(gram[flat]) @ right[flat]
    return result


def _inverse(gram: Float[np.ndarray, "point n n"]) -> Float[np.ndarray, "point n n"]:
    """Inverse of Gram matrices; the (slower) pseudo-inverse where one is nearly singular."""
    safe = np.linalg.det(gram / _norm(gram)[:, None, None]) > _SAFE
    inverse = np.empty_like(gram)
    inverse[safe] = np.linalg.inv(gram[safe])
    inverse[~safe] = np.linalg.pinv(gram[~safe], rcond=1e-10, hermitian=True)
    return inverse


def _norm(gram: Float[np.ndarray, "point n n"]) -> Float[np.ndarray, " point"]:
    """Largest entries; students without norm align with nothing."""
    norm = np.abs(gram).max((-1, -2))
    return np.where(norm > 0, norm, 1.0)
