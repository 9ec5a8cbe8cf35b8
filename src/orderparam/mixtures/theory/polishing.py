"""Solving the equations where iterating them is slow: Levenberg-Marquardt."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from orderparam.mixtures.theory.equations import (
    Overlaps,
    Point,
    Setup,
    image,
    pack,
    size_of_means,
    unpack,
)
from orderparam.mixtures.theory.fixed_point import Found
from orderparam.numerics.linear import solve


class Descent(NamedTuple):
    """State of Levenberg-Marquardt: the last point that lowered the sum of squares, and the next.

    `share` is the damping in units of the gap's norm and the mean square of the Jacobian, so that
    it vanishes with the gap, and steps become those of Newton.
    """

    turn: Int[Array, ""]
    trial: Float[Array, " unknown"]
    at: Float[Array, " unknown"]
    gap: Float[Array, " unknown"]
    slopes: Float[Array, "unknown unknown"]
    share: Float[Array, ""]
    moved: Float[Array, ""]
    found: Found


def polish(
    setup: Setup, point: Point, start: Float[Array, " unknown"], tolerance: float, most: int
) -> Found:
    """Levenberg-Marquardt on the residual of the equations, with exact derivatives.

    The equations and their derivatives are traced once: both are evaluated at the trial point,
    also where it is then refused.
    """

    def look(packed: Array) -> tuple[Array, tuple[Array, Array]]:
        gap, residual = gaps(setup, point, packed)
        return gap, (gap, residual)

    def body(s: Descent) -> Descent:
        slopes, (gap, residual) = jax.jacfwd(look, has_aux=True)(s.trial)
        healthy = jnp.all(jnp.isfinite(gap)) & jnp.all(jnp.isfinite(slopes))
        lower = healthy & (gap @ gap < s.gap @ s.gap)
        at, gap, slopes = jax.tree.map(
            lambda new, old: jnp.where(lower, new, old),
            (s.trial, gap, slopes),
            (s.at, s.gap, s.slopes),
        )
        share = jnp.where(lower, s.share / 5, 4 * s.share)
        square = slopes.T @ slopes
        damping = share * jnp.linalg.norm(gap) * jnp.trace(square) / len(gap)
        step = solve(square + damping * jnp.eye(len(gap)), -(slopes.T @ gap)[:, None])[:, 0]
        better = healthy & (residual < s.found.residual)
        found = Found(
            jnp.where(better, s.trial, s.found.packed),
            jnp.where(better, residual, s.found.residual),
            s.turn + 1,
        )
        moved = jnp.max(jnp.abs(step)) / (1 + jnp.max(jnp.abs(at)))
        return Descent(s.turn + 1, at + step, at, gap, slopes, share, moved, found)

    def busy(s: Descent) -> Array:
        rest = (s.found.residual > 1e-3 * tolerance) & (s.moved > 1e-15)
        return (s.turn < most) & rest

    size, infinite, zero = len(start), jnp.asarray(jnp.inf), jnp.asarray(0)
    first = Descent(
        zero, start, start, jnp.full(size, jnp.inf), jnp.zeros((size, size)), jnp.asarray(1.0),
        infinite, Found(start, infinite, zero),
    )  # fmt: skip
    return lax.while_loop(busy, body, first).found


def gaps(
    setup: Setup, point: Point, packed: Float[Array, " unknown"]
) -> tuple[Float[Array, " unknown"], Float[Array, ""]]:
    """The map minus the identity in packed variables, and the residual of the equations.

    The bias equation is in units of the forces.
    """
    K, L = setup.codes.shape
    x = unpack(packed, K, L)
    done = image(setup, point, x)
    new = pack(Overlaps(done.weights.V, done.weights.Q, done.weights.m, x.b))
    # The means are measured in units of the old spread, so that they do not mix with Q.
    scale = size_of_means(x)
    gap = (new - packed).at[len(packed) - (K + 1) * L :].set(0.0)
    gap = gap.at[len(packed) - (K + 1) * L : len(packed) - L].set(
        ((done.weights.m - x.m) / scale).ravel()
    )
    if setup.fit_bias:
        total = lax.stop_gradient(jnp.sum(jnp.abs(done.hats.m), axis=0)) + 1e-290
        gap = gap.at[-L:].set(jnp.sum(done.hats.m, axis=0) / total)
    return gap, done.residual


@eqx.filter_jit
def polish_all(
    setup: Setup, points: Point, starts: Float[Array, "point unknown"], tolerance: float, most: int
) -> Found:
    """`polish` for many points at once."""
    return jax.vmap(lambda p, s: polish(setup, p, s, tolerance, most))(points, starts)
