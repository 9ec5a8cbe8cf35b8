"""Proximal points by Newton's method, with derivatives by the implicit function theorem."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from orderparam.numerics.linear import cholesky, solve_small

_CLOSE = 1e-9
_MOST = 100
_LENGTHS = np.array([1.0, 0.4, 0.1, 0.01])


def scalar_prox(
    derivatives: Callable[[Array], tuple[Array, Array]], omega: Float[Array, " node"], V: Array
) -> Float[Array, " node"]:
    """Roots h of `h - omega + V l'(h) = 0` for a convex loss with the given two derivatives.

    The left side rises with slope at least 1, so its value at omega brackets the root. Newton steps
    that leave the bracket, or shrink the residual too slowly, become bisections.
    """
    inside = lax.stop_gradient(omega)
    response = lax.stop_gradient(V)
    gap = response * derivatives(inside)[0]
    low, high = jnp.minimum(inside, inside - gap), jnp.maximum(inside, inside - gap)

    def busy(carry: tuple[Array, ...]) -> Array:
        return carry[-1]

    def step(carry: tuple[Array, ...]) -> tuple[Array, ...]:
        count, h, low, high, last, _ = carry
        first, second = lax.stop_gradient(derivatives(h))
        value = h - inside + response * first
        low, high = jnp.where(value < 0, h, low), jnp.where(value < 0, high, h)
        move = value / (1 + response * second)
        newton = h - move
        slow = jnp.abs(move) > 0.5 * last
        safe = (newton >= low) & (newton <= high) & ~slow
        new = jnp.where(safe, newton, (low + high) / 2)
        moved = jnp.abs(new - h)
        scale = _CLOSE * (jnp.abs(h) + jnp.abs(inside))
        rest = jnp.any((moved > scale) & (high - low > scale)) & (count < _MOST)
        return count + 1, new, low, high, moved, rest

    middle = (low + high) / 2
    start = (jnp.asarray(0), middle, low, high, jnp.full_like(middle, jnp.inf), jnp.asarray(True))
    h = lax.stop_gradient(lax.while_loop(busy, step, start)[1])
    # One more step with live derivatives carries those of the implicit function, and squares the
    # error that is left.
    first, second = derivatives(h)
    return h - (h - omega + V * first) / lax.stop_gradient(1 + V * second)


def softmax_prox(
    codes: Float[Array, "class output"],
    code: Float[Array, " output"],
    omega: Float[Array, "node output"],
    V: Float[Array, "output output"],
) -> tuple[Float[Array, "node output"], Float[Array, "node output output"]]:
    """Proximal points of the cross-entropy, and `H (I + V H)^-1` there.

    Works on `t` with `z = omega + C t` and `V = C C^T`, where the objective
    `|t|^2/2 + l(z)` has curvature of at least 1 in every direction. Each Newton step takes the best
    of four lengths, so the objective never grows.
    """
    factor = cholesky(V)
    held = lax.stop_gradient((omega, factor))
    t = lax.stop_gradient(_minimise(codes, code, *held))
    # One more Newton step with live arguments carries the derivatives of the implicit function.
    gradient, _ = _shape(codes, code, omega + t @ factor.T)
    _, hessian = _shape(codes, code, held[0] + t @ held[1].T)
    slope = t + gradient @ factor
    t = t - solve_small(_curvature(hessian, held[1]), slope[:, :, None])[:, :, 0]
    z = omega + t @ factor.T
    _, hessian = _shape(codes, code, z)
    inner = hessian @ factor
    return z, hessian - inner @ solve_small(_curvature(hessian, factor), inner.mT)


def _minimise(codes: Array, code: Array, omega: Array, factor: Array) -> Array:
    """Newton's method on `|t|^2/2 + l(omega + C t)` for all nodes at once."""

    def objective(t: Array) -> Array:
        z = omega + t @ factor.T
        loss = jax.nn.logsumexp(z @ codes.T, axis=-1) - z @ code
        return jnp.sum(t**2, axis=-1) / 2 + loss

    def step(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        count, t, _ = carry
        gradient, hessian = _shape(codes, code, omega + t @ factor.T)
        slope = t + gradient @ factor
        move = solve_small(_curvature(hessian, factor), slope[:, :, None])[:, :, 0]
        tried = t[None] - _LENGTHS[:, None, None] * move[None]
        best = jnp.argmin(jax.vmap(objective)(tried), axis=0)
        new = jnp.take_along_axis(tried, best[None, :, None], axis=0)[0]
        size = jnp.abs(slope).max(axis=-1)
        # Near the minimum the objective is flat to rounding, where a full step is right.
        new = jnp.where((size < 1e-6)[:, None], tried[0], new)
        return count + 1, new, jnp.any(size > 1e-11 * (1 + jnp.abs(t).max(axis=-1)))

    start = (jnp.asarray(0), jnp.zeros_like(omega), jnp.asarray(True))
    return lax.while_loop(lambda c: c[2] & (c[0] < _MOST), step, start)[1]


def _shape(codes: Array, code: Array, z: Array) -> tuple[Array, Array]:
    """Gradient and Hessian of the cross-entropy."""
    p = jax.nn.softmax(z @ codes.T, axis=-1)
    mean = p @ codes
    second = jnp.einsum("nc,ci,cj->nij", p, codes, codes)
    return mean - code, second - mean[:, :, None] * mean[:, None, :]


def _curvature(hessian: Array, factor: Array) -> Array:
    """`I + C^T H C` at every node."""
    return jnp.eye(factor.shape[0]) + factor.T @ hessian @ factor
