"""Solving the equations: damped Anderson iteration; `polishing` takes what it misses."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from orderparam.mixtures.theory.equations import (
    Point,
    Setup,
    image,
    pack,
    semi_implicit,
    unpack,
)
from orderparam.numerics.linear import solve

_MEMORY = 6
_PATIENCE = 15
_LONGEST = 1.0
_MOST_DAMPED = 0.98


class Search(NamedTuple):
    """State of the iteration; `best` is the point of smallest residual so far."""

    turn: Int[Array, ""]
    at: Float[Array, " unknown"]
    best: Float[Array, " unknown"]
    residual: Float[Array, ""]
    points: Float[Array, "memory unknown"]
    steps: Float[Array, "memory unknown"]
    known: Int[Array, ""]
    damping: Float[Array, ""]
    rest: Int[Array, ""]
    stale: Int[Array, ""]


class Found(NamedTuple):
    """Where the iteration ended."""

    packed: Float[Any, " unknown"]
    residual: Float[Any, ""]
    evaluations: Int[Any, ""]


def iterate(
    setup: Setup, point: Point, start: Float[Array, " unknown"], tolerance: Array, most: Array
) -> Found:
    """Semi-implicit iteration with Anderson acceleration.

    Damping starts at 0.2 and grows whenever the residual has not improved for 15 evaluations, from
    the best point on. Steps of the acceleration longer than 1 are refused.
    """
    K, L = setup.codes.shape

    def body(s: Search) -> Search:
        x = unpack(s.at, K, L)
        done = image(setup, point, x)
        step = pack(semi_implicit(setup, x, done)) - s.at
        healthy = jnp.isfinite(done.residual) & jnp.all(jnp.isfinite(step))
        better = healthy & (done.residual < s.residual)
        best = jnp.where(better, s.at, s.best)
        reached: Array = done.residual
        residual = jnp.where(better, reached, s.residual)
        stale = jnp.where(better, 0, s.stale + 1)
        restart = ~healthy | (stale > _PATIENCE)
        step = jnp.where(healthy, step, 0.0)
        size = jnp.max(jnp.abs(step))
        points, steps = jnp.roll(s.points, 1, 0).at[0].set(s.at), jnp.roll(s.steps, 1, 0)
        steps = steps.at[0].set(step)
        known = jnp.minimum(s.known + 1, _MEMORY)
        plain = (1 - s.damping) * step * jnp.minimum(1.0, 2.0 / (size + 1e-300))
        mixed = step + _anderson(points, steps, known)
        mix = (done.residual < 0.5) & (s.rest == 0) & (jnp.max(jnp.abs(mixed)) < _LONGEST)
        moved = s.at + jnp.where(mix, mixed, plain)
        damped = jnp.minimum((1 + s.damping) / 2, _MOST_DAMPED)
        return Search(
            s.turn + 1,
            jnp.where(restart, best, moved),
            best,
            residual,
            points,
            steps,
            jnp.where(restart, 0, known),
            jnp.where(restart, damped, s.damping),
            jnp.where(restart, _PATIENCE, jnp.maximum(s.rest - 1, 0)),
            jnp.where(restart, 0, stale),
        )

    def busy(s: Search) -> Array:
        return (s.residual > tolerance) & (s.turn < most)

    zero, blank = jnp.asarray(0), jnp.zeros((_MEMORY, start.shape[0]))
    first = Search(
        zero, start, start, jnp.asarray(jnp.inf), blank, blank, zero, jnp.asarray(0.2), zero, zero
    )
    last = lax.while_loop(busy, body, first)
    return Found(last.best, last.residual, last.turn)


@eqx.filter_jit
def iterate_all(
    setup: Setup,
    points: Point,
    starts: Float[Array, "point unknown"],
    tolerance: Float[Array, ""],
    most: Int[Array, ""],
) -> Found:
    """`iterate` for many points at once; each stops on its own."""
    return jax.vmap(lambda p, s: iterate(setup, p, s, tolerance, most))(points, starts)


def _anderson(
    points: Float[Array, "memory unknown"], steps: Float[Array, "memory unknown"], known: Array
) -> Float[Array, " unknown"]:
    """What the differences to earlier points add to a plain step (type II, unit mixing)."""
    used = (jnp.arange(1, _MEMORY) < known)[:, None]
    dx = jnp.where(used, points[1:] - points[0], 0.0)
    df = jnp.where(used, steps[1:] - steps[0], 0.0)
    gram = df @ df.T
    ridge = 1e-14 * jnp.trace(gram) + 1e-290
    system = gram + jnp.where(used[:, 0], ridge, 1.0) * jnp.eye(_MEMORY - 1)
    gamma = solve(system, -(df @ steps[0])[:, None])[:, 0]
    return gamma @ (dx + df)
