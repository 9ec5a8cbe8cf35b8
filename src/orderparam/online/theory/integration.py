"""Integration of all initial states in one compiled program."""

import time
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int

from orderparam.online.theory.events import EVENTS, Levels, distances
from orderparam.online.theory.flow import Rule, velocity
from orderparam.online.theory.march import Course, march
from orderparam.online.theory.modes import ModalState, Modes, modal_velocity
from orderparam.online.theory.moments import Fixed, State
from orderparam.online.theory.runge_kutta import Explicit, Field, Implicit
from orderparam.online.theory.watch import Watch
from orderparam.support.later import diffrax
from orderparam.support.plain_methods import PlainMethods
from orderparam.support.programs import quick

BLOCK = 16
"""Trajectories side by side: as many as the fast memory of a processor holds."""

BLOWN_UP = 1e3
"""tr Q, relative to its start (at least 1), that counts as diverged."""

COARSER = 1e3
"""Tolerances, relative to those asked for, of the run that shows the integration's error. In place
of 1e-8 it takes 0.4 to 0.8 of the steps; where stability limits the steps it takes as many."""


class Steps(PlainMethods, eqx.Module):
    """Settings of the integrator; the limit is fixed when the program is compiled.

    Args:
        rtol: Relative tolerance of a step.
        atol: Absolute tolerance of a step.
        limit: Number of steps after which a trajectory is given up.
    """

    rtol: Float[Any, ""]
    atol: Float[Any, ""]
    limit: int = eqx.field(static=True)

    def coarser(self) -> "Steps":
        """The same with tolerances `COARSER` times as large, at most 1e-2."""
        rtol, atol = (np.minimum(COARSER * part, 1e-2) for part in (self.rtol, self.atol))
        return Steps(np.asarray(rtol), np.asarray(atol), self.limit)

    def controller(self, rule: Rule) -> Any:
        """Adaptive steps that stop at each jump of the learning rate and go on behind it."""
        tolerances: Any = (self.rtol, self.atol)  # arrays, where numbers are named
        adaptive = diffrax.PIDController(rtol=tolerances[0], atol=tolerances[1])
        if rule.schedule is None or len(rule.schedule.jumps) == 0:
            return adaptive
        return diffrax.ClipStepSizeController(adaptive, jump_ts=rule.schedule.jumps)


class Trajectories(PlainMethods, eqx.Module):
    """What the compiled program returns, with a leading axis for the initial state.

    Args:
        states: Overlaps at the saved times, infinite at those that were not reached.
        events: Times of the events, where the levels are known.
        blown_up: Whether the norms grew without bound.
        finished: Whether the last time was reached.
        reached: The last time of the integration.
        steps: Steps taken.
        end: Where the integration stands, to go on from.
    """

    states: State
    events: Float[Any, "*draw event"] | None
    blown_up: Bool[Any, "*draw"]
    finished: Bool[Any, "*draw"]
    reached: Float[Any, "*draw"]
    steps: Int[Any, "*draw"]
    end: Any


def integrate(
    first: State,
    fixed: Fixed,
    modes: Modes | None,
    rule: Rule,
    levels: Levels | None,
    times: Float[Array, " time"],
    steps: Steps,
    before: Trajectories | None = None,
) -> Trajectories:
    """Integrate from every initial state (leading axis of `first` and of the teachers).

    With the trajectories `before` what they left unfinished goes on by implicit steps.
    """

    def block(given: tuple[Any, ...]) -> Trajectories:
        return _block(given, fixed, rule, levels, times, steps)

    given = (first, fixed.teachers(), modes, before)
    size = min(BLOCK, len(first.M))
    cut = jax.tree.map(lambda part: part.reshape(-1, size, *part.shape[1:]), given)
    found = jax.lax.map(block, cut)
    return jax.tree.map(lambda part: part.reshape(-1, *part.shape[2:]), found)


def _size(state: State | ModalState) -> Float[Array, ""]:
    """The trace of Q, summed over bins."""
    if isinstance(state, ModalState):
        return jnp.sum(state.q)
    return jnp.trace(state.Q, axis1=-2, axis2=-1).sum()


def _block(
    given: tuple[Any, ...],
    fixed: Fixed,
    rule: Rule,
    levels: Levels | None,
    times: Float[Array, " time"],
    steps: Steps,
) -> Trajectories:
    """Integrate some trajectories side by side, their states as rows of numbers."""
    first, teachers, modes, before = given
    lanes, start = len(first.M), first if modes is None else modes.start()
    single = ravel_pytree(jax.tree.map(lambda part: part[0], start))[1]
    solver = Explicit() if before is None else Implicit(steps.rtol, steps.atol)
    course = Course(
        *_laws(single, fixed, rule, levels), solver, steps.controller(rule), times[-1], steps.limit
    )
    largest = BLOWN_UP * jnp.maximum(jax.vmap(_size)(start), 1.0)
    begin, busy = jnp.zeros(lanes), jnp.ones(lanes, bool)
    known = jnp.full((lanes, len(EVENTS)), jnp.nan)
    if before is not None:
        start, begin, busy = before.end, before.reached, ~(before.finished | before.blown_up)
        known = known if before.events is None else before.events
    rows = jax.vmap(lambda state: ravel_pytree(state)[0])(start)
    later, own = jnp.maximum(times, begin[:, None]), (teachers, modes)
    ended, rows, events = march(course, begin, rows, own, busy, largest, later, known)
    states = jax.vmap(jax.vmap(single))(rows)
    found = Trajectories(
        states=states if modes is None else jax.vmap(Modes.overlaps)(modes, states),
        events=None if levels is None else events,
        blown_up=ended.blown_up,
        finished=ended.at >= course.end,
        reached=ended.at,
        steps=ended.steps,
        end=jax.vmap(single)(ended.rows),
    )
    return found if before is None else jax.vmap(_joined, (0, 0, None))(before, found, times)


def _laws(
    single: Callable[[Array], Any], fixed: Fixed, rule: Rule, levels: Levels | None
) -> tuple[Field, Callable[[Array], Array], Watch | None]:
    """Velocity, size and events of one trajectory, from its numbers and its own constants."""

    def field(t: Any, row: Array, own: Any) -> Float[Array, " number"]:
        teachers, modes = own
        args: Any = (fixed.with_teachers(teachers), rule)
        if modes is None:
            return ravel_pytree(velocity(t, single(row), args))[0]
        return ravel_pytree(modal_velocity(t, single(row), (*args, modes)))[0]

    def distance(row: Array, own: Any) -> Float[Array, " event"]:
        assert levels is not None
        teachers, modes = own
        state = single(row) if modes is None else modes.single(single(row))
        return distances(state, fixed.with_teachers(teachers), rule, levels)

    return field, lambda row: _size(single(row)), None if levels is None else Watch(distance)


def _joined(
    before: Trajectories, after: Trajectories, times: Float[Array, " time"]
) -> Trajectories:
    """One trajectory from two parts; `before` alone where it had ended."""
    done = before.finished | before.blown_up

    def states(early: Array, late: Array) -> Array:
        old = (done | (times <= before.reached)).reshape(-1, *(1,) * (early.ndim - 1))
        return jnp.where(old, early, late)

    after = eqx.tree_at(
        lambda part: (part.states, part.steps),
        after,
        (jax.tree.map(states, before.states, after.states), before.steps + after.steps),
    )
    rest = jax.tree.map(lambda old, new: jnp.where(done, old, new), before, after)
    return eqx.tree_at(lambda part: part.states, rest, after.states)


_PROGRAMS: dict[Any, Any] = {}


def compiled(arguments: tuple[Any, ...]) -> tuple[Any, float]:
    """The compiled program for arguments of these shapes and settings, and the time it took."""
    leaves, form = jax.tree.flatten(arguments)
    key = (form, tuple((leaf.shape, leaf.dtype) for leaf in leaves))
    if key in _PROGRAMS:
        return _PROGRAMS[key], 0.0
    began = time.perf_counter()
    _PROGRAMS[key] = jax.jit(integrate).lower(*arguments).compile(quick())
    return _PROGRAMS[key], time.perf_counter() - began
