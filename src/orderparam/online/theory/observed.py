"""What follows from overlaps: losses and alignment, the same for theory and runs."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from orderparam.online.problem import TeacherStudent
from orderparam.online.theory.flow import fixed_of, population_loss
from orderparam.online.theory.moments import State
from orderparam.support.settings import library_settings


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
    sums = Q.sum((-1, -2)) + M.sum((-1, -2)) + A.sum(-1)
    finite = np.asarray(np.isfinite(sums))
    Q, M = (np.where(finite[..., None, None], part, np.nan) for part in (Q, M))
    T = problem.preactivations().flat().T[:, None]
    T = np.broadcast_to(T, (*finite.shape, *T.shape[-2:]))
    values = {"Q": Q, "M": M, "loss": np.full(finite.shape, np.nan)}
    values["loss"][finite] = losses(problem, Q[finite], M[finite], T[finite], A[finite])
    values["mse"] = 2 * values["loss"]
    values["alignment"] = np.full(finite.shape, np.nan)
    values["alignment"][finite] = alignment(Q[finite], M[finite], T[finite])
    if problem.second_layer_rate > 0:
        values["A"] = np.where(finite[..., None], A, np.nan)
    return values


def losses(
    problem: TeacherStudent, Q: np.ndarray, M: np.ndarray, T: np.ndarray, A: np.ndarray
) -> Float[np.ndarray, " point"]:
    """The population loss at many states, in float64 whatever the caller's setting."""
    with library_settings():
        states = State(*(jnp.asarray(part, jnp.float64) for part in (Q, M, A)))
        fixed = fixed_of(problem, jnp.asarray(T, jnp.float64))
        return np.asarray(population_loss(states, fixed, problem.activation))


def alignment(Q: np.ndarray, M: np.ndarray, T: np.ndarray) -> Float[np.ndarray, " point"]:
    """tr(Q^-1 M T^-1 M^T)/min(p, p*), with pseudo-inverses where vectors are dependent."""
    students, teachers = _inverse(Q) @ M, M @ _inverse(T)
    return np.sum(students * teachers, axis=(-1, -2)) / min(M.shape[-2:])


def _inverse(gram: np.ndarray) -> np.ndarray:
    """Inverse of Gram matrices; the (slower) pseudo-inverse where one is nearly singular."""
    norm = np.abs(gram).max((-1, -2))
    norm = np.where(norm > 0, norm, 1.0)  # students without norm align with nothing
    safe = np.linalg.det(gram / norm[:, None, None]) > 1e-8
    inverse = np.empty_like(gram)
    inverse[safe] = np.linalg.inv(gram[safe])
    inverse[~safe] = np.linalg.pinv(gram[~safe], rcond=1e-10, hermitian=True)
    return inverse
