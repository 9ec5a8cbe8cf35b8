"""Solving the equations: damped Anderson iteration; `polishing` takes what it misses."""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from orderparam.mixtures.theory.equations import (
    Image,
    Overlaps,
    Point,
    Setup,
    image,
    pack,
    semi_implicit,
    unpack,
)
from orderparam.mixtures.theory.rules import Rules, forces
from orderparam.numerics.linear import solve

_MEMORY = 6
_PATIENCE = 15
_LONGEST = 1.0
_MOST_DAMPED = 0.98


class Search(NamedTuple):
    """State of the iteration; `best` is the point of smallest residual so far.

    Its `sides` are what the equations say there beyond the overlaps: training loss, penalty, norm
    and share of active coordinates. The last turn judges it: then `overlaps` are its own, and
    `error` is the residual of the equations by the refined rule.
    """

    turn: Int[Array, ""]
    at: Float[Array, " unknown"]
    best: Float[Array, " unknown"]
    sides: Float[Array, "4"]
    residual: Float[Array, ""]
    past: Float[Array, "memory 2 unknown"]
    known: Int[Array, ""]
    damping: Float[Array, ""]
    rest: Int[Array, ""]
    stale: Int[Array, ""]
    overlaps: Overlaps
    error: Float[Array, ""]
    judged: Bool[Array, ""]


class Found(NamedTuple):
    """Where the iteration ended."""

    packed: Float[Any, " unknown"]
    residual: Float[Any, ""]
    evaluations: Int[Any, ""]


def iterate(
    setup: Setup,
    rules: Rules,
    point: Point,
    start: Float[Array, " unknown"],
    tolerance: Array,
    most: Array,
) -> Search:
    """Semi-implicit iteration with Anderson acceleration, and a look by the refined rule.

    Damping starts at 0.2 and grows whenever the residual has not improved for 15 evaluations, from
    the best point on. Steps of the acceleration longer than 1 are refused.
    """
    K, L = setup.codes.shape

    def body(s: Search) -> Search:
        judged = (s.residual <= tolerance) | (s.turn >= most)
        x = unpack(jnp.where(judged, s.best, s.at), K, L)
        done = image(setup, point, x, forces(setup, rules, judged, point.alpha, x))
        moved = _moved(s, done, pack(semi_implicit(setup, x, done)) - s.at, judged)
        return moved._replace(overlaps=x, error=done.residual, judged=judged)

    zero, past = jnp.asarray(0), jnp.zeros((_MEMORY, 2, start.shape[0]))
    square = jnp.zeros((K, L, L))
    first = Search(
        zero, start, start, jnp.zeros(4), jnp.asarray(jnp.inf), past, zero, jnp.asarray(0.2), zero,
        zero, Overlaps(square, square, jnp.zeros((K, L)), jnp.zeros(L)), jnp.zeros(()),
        jnp.asarray(False),
    )  # fmt: skip
    return lax.while_loop(lambda s: ~s.judged, body, first)


def _moved(s: Search, done: Image, step: Array, judged: Array) -> Search:
    """The next point; when the best one is judged, it and what is known of it stay."""
    healthy = jnp.isfinite(done.residual) & jnp.all(jnp.isfinite(step))
    better = healthy & (done.residual < s.residual) & ~judged
    best = jnp.where(better, s.at, s.best)
    weights = done.weights
    sides = jnp.stack([done.train_loss, weights.penalty, weights.norm, weights.active])
    stale = jnp.where(better, 0, s.stale + 1)
    restart = ~healthy | (stale > _PATIENCE)
    step = jnp.where(healthy, step, 0.0)
    size = jnp.max(jnp.abs(step))
    past = jnp.concatenate([jnp.stack([s.at, step])[None], s.past[:-1]])
    known = jnp.minimum(s.known + 1, _MEMORY)
    plain = (1 - s.damping) * step * jnp.minimum(1.0, 2.0 / (size + 1e-300))
    mixed = step + _anderson(past[:, 0], past[:, 1], known)
    mix = (done.residual < 0.5) & (s.rest == 0) & (jnp.max(jnp.abs(mixed)) < _LONGEST)
    damped = jnp.minimum((1 + s.damping) / 2, _MOST_DAMPED)
    return s._replace(
        turn=jnp.where(judged, s.turn, s.turn + 1),
        at=jnp.where(restart, best, s.at + jnp.where(mix, mixed, plain)),
        best=best,
        sides=jnp.where(better, sides, s.sides),
        residual=jnp.where(better, jnp.asarray(done.residual), s.residual),
        past=past,
        known=jnp.where(restart, 0, known),
        damping=jnp.where(restart, damped, s.damping),
        rest=jnp.where(restart, _PATIENCE, jnp.maximum(s.rest - 1, 0)),
        stale=jnp.where(restart, 0, stale),
    )


@eqx.filter_jit
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
