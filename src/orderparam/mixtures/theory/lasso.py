"""Quadratic problems with an l1 term in many coordinates at once: minimiser and response."""

import jax
import jax.numpy as jnp
import jax.scipy.linalg as linalg
from jax import lax
from jaxtyping import Array, Bool, Float

_SWEEPS = 2000
_CLOSE = 1e-11


def minimise(
    A: Float[Array, "d d"], B: Float[Array, "draw d"], tau: Array
) -> Float[Array, "draw d"]:
    """`argmin w^T A w / 2 - B w + tau |w|_1` for every row of B, by coordinate descent.

    Sweeps end when no coordinate moves by more than 1e-11 of the largest. Without convergence
    after 2000 sweeps the result is NaN.
    """
    diagonal = jnp.diagonal(A)
    count = B.shape[1]

    def coordinate(i: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        w, rest, moved = carry  # rest = B - A w
        pull = rest[:, i] + diagonal[i] * w[:, i]
        new = jnp.sign(pull) * jnp.maximum(jnp.abs(pull) - tau, 0.0) / diagonal[i]
        change = new - w[:, i]
        moved = jnp.maximum(moved, jnp.max(jnp.abs(change)))
        return w.at[:, i].set(new), rest - change[:, None] * A[i], moved

    def sweep(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        turn, w, rest, _ = carry
        w, rest, moved = lax.fori_loop(0, count, coordinate, (w, rest, jnp.zeros(())))
        return turn + 1, w, rest, moved / (jnp.max(jnp.abs(w)) + 1e-300)

    def busy(carry: tuple[Array, Array, Array, Array]) -> Array:
        return (carry[3] > _CLOSE) & (carry[0] < _SWEEPS)

    start = (jnp.asarray(0), jnp.zeros_like(B), B, jnp.asarray(jnp.inf))
    _, w, _, moved = lax.while_loop(busy, sweep, start)
    return jnp.where(moved <= _CLOSE, w, jnp.nan)


def response(A: Float[Array, "d d"], active: Bool[Array, "draw d"]) -> Float[Array, "draw d d"]:
    """`dw/dB` of the minimisers: the inverse of A among the active coordinates, 0 elsewhere."""

    def one(active: Array) -> Array:
        pair = active[:, None] & active[None, :]
        eye = jnp.eye(len(active))
        factor = linalg.cho_factor(jnp.where(pair, A, eye))
        return jnp.where(pair, linalg.cho_solve(factor, eye), 0.0)

    return jax.vmap(one)(active)
