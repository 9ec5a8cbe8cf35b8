r"""The action N S of a deep linear network on one sample, and minus the inverse of its Hessian.

    S = sum over layers of [Phi^_l . Phi_l + G^_l . G_l] - sum tr(A_l B_l) + sum ln Z_l
        + sum_t Delta^(t) [Delta(t) - y + sum_{s < t} eta_s K(s) Delta(s)]
    ln Z_l = -ln det M_l - 1/2 ln det(1 + 2 Lambda_l M_l^{-1} Sigma_l M_l^{-T})

with M_l = [[1, -C_h], [-C_z, 1]], Sigma_l the covariances of (u, r) and Lambda_l the duals of
(Phi_l, G_l): log-determinants of matrices of 4T rows, which are written here in 2T.

Source: Bordelon & Pehlevan (2023), appendix on linear networks; docs/theory/fluctuations.md,
Action.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from orderparam.errors import NotConverged
from orderparam.fluctuations.theory.action.saddle import Parameters, Training, around, tangent
from orderparam.support.programs import program

LARGEST_GRADIENT = 1e-6
"""Norm of the gradient above which a point is no saddle, and its propagator no covariance."""

AT_ONCE = 32
"""Columns of the Hessian that are formed together."""


def action(training: Training, q: Parameters) -> Float[Array, ""]:
    """S at any order parameters."""
    depth, count = len(q.Phi), len(q.Delta)
    forward, backward = around(jnp.full((count, count), training.gram), q)
    strength, before = training.gamma0 * training.rates * q.Delta, jnp.tri(count, k=-1)
    eye, none = jnp.eye(count), jnp.zeros((count, count))
    total = jnp.sum(q.Phi_dual * q.Phi) + jnp.sum(q.G_dual * q.G)
    total -= jnp.sum(q.A * jnp.swapaxes(q.B, 1, 2))
    for l in range(depth):  # noqa: E741
        C_h = strength * forward[l] * before + (q.A[l - 1] if l > 0 else none)
        C_z = strength * backward[l] * before + (q.B[l] if l + 1 < depth else none)
        M = jnp.block([[eye, -C_h], [-C_z, eye]])
        answer = jnp.linalg.inv(M)
        Sigma = jnp.block([[_even(forward[l]), none], [none, _even(backward[l])]])
        dual = jnp.block([[_even(q.Phi_dual[l]), none], [none, _even(q.G_dual[l])]])
        V = answer @ Sigma @ answer.T
        total -= jnp.linalg.slogdet(M)[1]
        total -= jnp.linalg.slogdet(jnp.eye(2 * count) + 2 * dual @ V)[1] / 2
    pushed = training.rates * tangent(training, q) * q.Delta
    return total + q.Delta_dual @ (q.Delta - training.y + before @ pushed)


def _even(matrix: Array) -> Array:
    return (matrix + matrix.T) / 2


@program
def _expanded(training: Training, q: Parameters) -> tuple[Array, Array]:
    """Gradient and Hessian, a few columns at a time."""
    flat, shaped = ravel_pytree(q)
    gradient = jax.grad(lambda x: action(training, shaped(x)))

    def column(index: Array) -> Array:
        way = (jnp.arange(len(flat)) == index).astype(flat.dtype)
        return jax.jvp(gradient, (flat,), (way,))[1]

    return gradient(flat), lax.map(column, jnp.arange(len(flat)), batch_size=AT_ONCE)


def propagator(
    training: Training, q: Parameters
) -> tuple[Float[np.ndarray, "time entry entry"], float]:
    """N Cov of (Delta, Phi^l, G^l) at each time, entries in that order, and the gradient's norm.

    Raises:
        NotConverged: If the action is not stationary at q.
    """
    gradient, hessian = (np.asarray(a) for a in _expanded(training, q))
    norm = float(np.linalg.norm(gradient))
    if not norm <= LARGEST_GRADIENT:
        raise NotConverged(
            f"The action is not stationary where it is expanded: its gradient has the norm "
            f"{norm:.1e}, above {LARGEST_GRADIENT:g}, and its Hessian is no covariance; lower "
            "`learning_rate` or `gamma0`."
        )
    places = _places(q)
    unit = np.zeros((len(hessian), places.size))
    unit[places.ravel(), np.arange(places.size)] = 1.0
    covariance = -np.linalg.solve(hessian, unit)
    columns = np.arange(places.size).reshape(places.shape)
    blocks = [covariance[np.ix_(at, own)] for at, own in zip(places, columns, strict=True)]
    return np.stack(blocks), norm


def _places(q: Parameters) -> np.ndarray:
    """Where Delta, Phi^l and G^l at equal times stand in the flat parameters."""
    sizes = [np.size(part) for part in q]
    starts = np.cumsum([0, *sizes[:-1]])
    count, times = len(q.Delta), np.arange(len(q.Delta))

    def equal(start: Any) -> list[np.ndarray]:
        return [start + l * count**2 + times * (count + 1) for l in range(len(q.Phi))]  # noqa: E741

    return np.stack([starts[4] + times, *equal(starts[0]), *equal(starts[1])], axis=1)
