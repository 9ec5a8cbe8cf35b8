"""When a trajectory learns its norms, enters the plateau, leaves it, and converges.

A level's crossing is found on a fine grid of times, and inside its interval by bisection on the
cubic that has the right values and velocities at both ends.
"""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from orderparam.errors import UnsupportedCombination
from orderparam.online.problem import TeacherStudent
from orderparam.online.theory.flow import Rule, moments, velocity
from orderparam.online.theory.isotropic import isotropic
from orderparam.online.theory.moments import Fixed, State

EVENTS = ("norm_time", "plateau_time", "escape_time", "convergence_time")


class Levels(eqx.Module):
    """Levels of the events.

    Args:
        trace: tr Q on the plateau.
        plateau: Loss on the plateau.
        final: Loss that the run tends to.
        margin: delta, the relative distance at which the plateau is entered and left.
        rest: Share of the plateau's height above `final` at which the run has converged.
    """

    trace: Float[Array, ""]
    plateau: Float[Array, ""]
    final: Float[Array, ""]
    margin: Float[Array, ""]
    rest: Float[Array, ""]


def levels_of(
    problem: TeacherStudent, sgd_noise: bool, margin: float, rest: float
) -> Levels | None:
    """The levels, or `None` for a problem without a known plateau."""
    try:
        numbers = isotropic(problem, sgd_noise=sgd_noise)
    except UnsupportedCombination:
        return None
    values = (numbers.p * numbers.plateau_norm(), numbers.plateau_loss(), numbers.final_loss())
    if not all(map(math.isfinite, values)):
        return None
    return Levels(*(jnp.asarray(value) for value in (*values, margin, rest)))


def distances(state: State, fixed: Fixed, rule: Rule, levels: Levels) -> Float[Array, " event"]:
    """For each of `EVENTS` a number that is positive before it and falls through zero at it."""
    loss = moments(state, fixed, rule.activation).loss
    height = levels.plateau - levels.final
    return jnp.stack([
        jnp.abs(jnp.trace(state.Q) / levels.trace - 1) - levels.margin,
        jnp.abs(loss / levels.plateau - 1) - levels.margin,
        loss - (1 - levels.margin) * levels.plateau,
        loss - levels.final - levels.rest * height,
    ])  # fmt: skip


def event_times(
    times: Float[Array, " time"], states: State, fixed: Fixed, rule: Rule, levels: Levels
) -> Float[Array, " event"]:
    """Times of the events of one trajectory on a fine grid; NaN for what does not happen.

    Escape counts only after the plateau has been entered. Cost: O(time), nothing is integrated.
    """
    values = jax.vmap(lambda state: distances(state, fixed, rule, levels))(states)
    entered = _first(values[:, 1] <= 0)
    reached = values <= 0
    reached = reached.at[:, 2].set(reached[:, 2] & (jnp.arange(len(times)) >= entered))

    def refined(index: Int[Array, ""]) -> Float[Array, ""]:
        at = _first(reached[:, index])
        before = jnp.clip(at - 1, 0, len(times) - 2)
        left = jax.tree.map(lambda leaf: leaf[before], states)
        right = jax.tree.map(lambda leaf: leaf[before + 1], states)
        step = times[before + 1] - times[before]
        slopes = [velocity(None, end, (fixed, rule)) for end in (left, right)]

        def halve(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
            low, high = ends
            middle = (low + high) / 2
            inside = _hermite(middle, step, left, right, *slopes)
            before_event = distances(inside, fixed, rule, levels)[index] > 0
            return jnp.where(before_event, middle, low), jnp.where(before_event, high, middle)

        share: Array = jax.lax.fori_loop(0, 50, halve, (jnp.zeros(()), jnp.ones(())))[1]
        root = jnp.where(at == 0, times[0], times[before] + share * step)
        return jnp.where(at == len(times), jnp.nan, root)

    return jax.vmap(refined)(jnp.arange(len(EVENTS)))


def _hermite(
    share: Float[Array, ""],
    step: Float[Array, ""],
    left: State,
    right: State,
    rise_left: State,
    rise_right: State,
) -> State:
    """The state inside a step, by the cubic with the right values and velocities at the ends."""
    s, r = share, 1 - share
    weights = (r**2 * (1 + 2 * s), s**2 * (1 + 2 * r), step * s * r**2, -step * s**2 * r)
    return jax.tree.map(
        lambda *parts: sum(w * part for w, part in zip(weights, parts, strict=True)),
        left, right, rise_left, rise_right,
    )  # fmt: skip


def _first(true: Array) -> Int[Array, ""]:
    """Index of the first true entry; the length where there is none."""
    return jnp.where(jnp.any(true), jnp.argmax(true), len(true))
