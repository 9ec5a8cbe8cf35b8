"""Proximal points by Newton's method, with derivatives by the implicit function theorem."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from orderparam.numerics.linear import cholesky, solve_stacked

_CLOSE = 1e-9
_MOST = 100
_HALLEY = 2
_LEAST = 1e-300
_LENGTHS = np.array([1.0, 0.4, 0.1, 0.01])
_SHORT = 0.5
"""Change of the logits by a Newton step that needs no choice of its length."""


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


def logistic_prox(s: Float[Array, " node"], V: Array) -> Float[Array, " node"]:
    """Roots u of `u - s - V / (1 + e^u) = 0`: the proximal points of log(1 + e^-u).

    With u, -u solves the equation of -s - V, so that the root may be taken as positive. There it
    lies at most log 2 below that of `u = s + V e^-u`, Lambert's function, of which a formula is
    good to a hundredth (Iacono and Boyd 2017). Halley's steps then end at rounding.
    """
    point, response = lax.stop_gradient((s, V))
    turned = point < -response / 2
    right = jnp.where(turned, -point - response, point)
    logarithm = jnp.log(jnp.maximum(response, _LEAST))
    near = jax.nn.softplus(logarithm - right)
    lambert = near * (1 - jnp.log1p(near) / (2 + near))
    far = logarithm - jnp.log(jnp.maximum(lambert, 1.0))
    u = jnp.maximum(jnp.where(lambert > 1, far, right + lambert), 0.0)
    for _ in range(_HALLEY):
        below = 1 / (1 + jnp.exp(u))
        curved = response * below * (1 - below)
        value, slope, second = u - right - response * below, 1 + curved, curved * (2 * below - 1)
        u = u - 2 * value * slope / (2 * slope**2 - value * second)
    u = lax.stop_gradient(jnp.where(turned, -u, u))
    # One more step with live arguments carries the derivatives of the implicit function.
    below = jax.nn.sigmoid(-u)
    return u - (u - s - V * below) / (1 + response * below * (1 - below))


def softmax_prox(
    codes: Float[np.ndarray, "class output"],
    code: Float[Array, " output"],
    omega: Float[Array, "node output"],
    V: Float[Array, "output output"],
) -> tuple[Float[Array, "node output"], Float[Array, "output output node"]]:
    """Proximal points of the cross-entropy, and `H (I + V H)^-1` there.

    Works on `t` with `z = omega + C t` and `V = C C^T`, where the objective
    `|t|^2/2 + l(z)` has curvature of at least 1 in every direction. Nodes are the last axis
    inside, so that every operation is one over all of them.
    """
    factor, fields = cholesky(V), omega.T
    held = lax.stop_gradient((fields, factor))
    t = lax.stop_gradient(_minimise(codes, code, *held))
    # One more Newton step with live arguments carries the derivatives of the implicit function.
    gradient, _ = _shape(codes, code, fields + _times(factor, t))
    _, hessian = _shape(codes, code, held[0] + _times(held[1], t))
    slope = t + _times(factor.T, gradient)
    t = t - solve_stacked(_curvature(hessian, held[1]), slope[:, None])[:, 0]
    z = fields + _times(factor, t)
    _, hessian = _shape(codes, code, z)
    inner = _times(factor.T, hessian)
    pulled = solve_stacked(_curvature(hessian, factor), inner)
    return z.T, hessian - sum(inner[k][:, None] * pulled[k] for k in range(len(factor)))


def _minimise(codes: np.ndarray, code: Array, omega: Array, factor: Array) -> Array:
    """Newton's method on `|t|^2/2 + l(omega + C t)` for all nodes at once.

    Where a step moves the logits by little, the third derivatives are too small to let it fail.
    While it moves some by more, each takes the best of four lengths, so that no objective grows.
    """

    def objective(t: Array) -> Array:
        z = omega + _times(factor, t)
        return _sum(t**2) / 2 + _logits(codes, z)[1] - _sum(code[:, None] * z)

    def step(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        count, t, _ = carry
        gradient, hessian = _shape(codes, code, omega + _times(factor, t))
        slope = t + _times(factor.T, gradient)
        move = solve_stacked(_curvature(hessian, factor), slope[:, None])[:, 0]
        size = jnp.abs(slope).max(axis=0)
        logits = _times(codes, _times(factor, move))
        long = logits.max(axis=0) - logits.min(axis=0) > _SHORT

        def tried(index: Array, best: tuple[Array, Array]) -> tuple[Array, Array]:
            new = t - jnp.asarray(_LENGTHS)[index] * move
            value = objective(new)
            better = long & (value < best[1])
            return jnp.where(better, new, best[0]), jnp.where(better, value, best[1])

        tries = jnp.where(jnp.any(long), len(_LENGTHS), 0)
        first = (t - move, jnp.full(t.shape[1], jnp.inf))
        new = lax.fori_loop(0, tries, tried, first)[0]
        return count + 1, new, jnp.any(size > 1e-11 * (1 + jnp.abs(t).max(axis=0)))

    start = (jnp.asarray(0), jnp.zeros_like(omega), jnp.asarray(True))
    return lax.while_loop(lambda c: c[2] & (c[0] < _MOST), step, start)[1]


def _logits(codes: np.ndarray, z: Float[Array, "output node"]) -> tuple[Array, Array]:
    """Probabilities of the classes, and the logarithm of the sum of their exponentials."""
    logits = _times(codes, z)
    top = functools.reduce(jnp.maximum, logits)
    parts = jnp.exp(logits - top)
    total = _sum(parts)
    return parts / total, top + jnp.log(total)


def _shape(codes: np.ndarray, code: Array, z: Float[Array, "output node"]) -> tuple[Array, Array]:
    """Gradient and Hessian of the cross-entropy."""
    p, size = _logits(codes, z)[0], len(z)
    mean = _times(codes.T, p)
    pairs = (codes[:, :, None] * codes[:, None, :]).reshape(len(codes), size**2)
    second = _times(pairs.T, p).reshape(size, size, -1)
    return mean - code[:, None], second - mean[:, None] * mean


def _curvature(hessian: Float[Array, "output output node"], factor: Array) -> Array:
    """`I + C^T H C` at every node."""
    half = _times(factor.T, hessian)
    whole = _times(factor.T, half.transpose(1, 0, 2))
    return jnp.eye(len(factor))[:, :, None] + whole


def _times(matrix: Any, right: Float[Array, "inner *rest"]) -> Float[Array, "row *rest"]:
    """A product with a small matrix, written out as operations over all nodes."""
    one = (slice(None), *[None] * (right.ndim - 1))
    terms = (matrix[:, k][one] * right[k] for k in range(matrix.shape[1]))
    return functools.reduce(jnp.add, terms)


def _sum(parts: Float[Array, "term node"]) -> Float[Array, " node"]:
    return functools.reduce(jnp.add, parts)
