"""Integration of all initial states in one compiled program."""

import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from orderparam.online.theory.events import EVENTS, Levels
from orderparam.online.theory.flow import Rule, velocity
from orderparam.online.theory.modes import ModalState, Modes, modal_velocity
from orderparam.online.theory.moments import Fixed, State
from orderparam.support.later import diffrax
from orderparam.support.programs import quick

BLOWN_UP = 1e3
"""tr Q, relative to its start (at least 1), that counts as diverged."""

COARSER = 1e3
"""Tolerances, relative to those asked for, of the run that shows the integration's error. In place
of 1e-8 it takes 0.4 to 0.8 of the steps; where stability limits the steps it takes as many."""


class Steps(eqx.Module):
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

    def solver(self, implicit: bool) -> Any:
        """The explicit integrator, or the one for rests that it takes too many steps for."""
        if not implicit:
            return diffrax.Dopri8(scan_kind="lax")
        tolerances: Any = (self.rtol, self.atol)  # arrays, where numbers are named
        roots = diffrax.VeryChord(rtol=tolerances[0], atol=tolerances[1])
        return diffrax.Kvaerno5(root_finder=roots, scan_kind="lax")

    def controller(self, rule: Rule) -> Any:
        """Adaptive steps that stop at each jump of the learning rate and go on behind it."""
        tolerances: Any = (self.rtol, self.atol)  # arrays, where numbers are named
        adaptive = diffrax.PIDController(rtol=tolerances[0], atol=tolerances[1])
        if rule.schedule is None or len(rule.schedule.jumps) == 0:
            return adaptive
        return diffrax.ClipStepSizeController(adaptive, jump_ts=rule.schedule.jumps)


class Trajectories(eqx.Module):
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
    events: Float[Array, "*draw event"] | None
    blown_up: Bool[Array, "*draw"]
    finished: Bool[Array, "*draw"]
    reached: Float[Array, "*draw"]
    steps: Array
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
    return jax.vmap(
        lambda state, teachers, own, part: _one(
            state, fixed.with_teachers(teachers), own, rule, levels, times, steps, part
        )
    )(first, fixed.teachers(), modes, before)


def _size(state: State | ModalState) -> Float[Array, ""]:
    """The trace of Q, summed over bins."""
    if isinstance(state, ModalState):
        return jnp.sum(state.q)
    return jnp.trace(state.Q, axis1=-2, axis2=-1).sum()


def _one(
    first: State,
    fixed: Fixed,
    modes: Modes | None,
    rule: Rule,
    levels: Levels | None,
    times: Float[Array, " time"],
    steps: Steps,
    before: Trajectories | None,
) -> Trajectories:
    motion: tuple[Any, ...] = (velocity, first, (fixed, rule))
    if modes is not None:
        motion = (modal_velocity, modes.start(), (fixed, rule, modes))
    largest = BLOWN_UP * jnp.maximum(_size(motion[1]), 1.0)
    begin, start = (jnp.zeros(()), motion[1]) if before is None else (before.reached, before.end)
    solver: Any = steps.solver(implicit=before is not None)
    if levels is not None:
        # A subclass of the integrator's: it imports diffrax, which takes half a second.
        from orderparam.online.theory.watch import Watched

        known = None if before is None else before.events
        known = jnp.full(len(EVENTS), jnp.nan) if known is None else known
        solver = Watched(solver, levels, fixed, rule, modes, known)
    saved = diffrax.SubSaveAt(ts=jnp.maximum(times, begin)), diffrax.SubSaveAt(t1=True)
    solved = diffrax.diffeqsolve(
        diffrax.ODETerm(motion[0]),
        solver,
        t0=begin,
        t1=times[-1],
        dt0=None,
        y0=start,
        args=motion[2],
        saveat=diffrax.SaveAt(subs=saved, solver_state=True),
        stepsize_controller=steps.controller(rule),
        max_steps=steps.limit,
        adjoint=diffrax.ForwardMode(),
        event=diffrax.Event(lambda t, y, args, **_: ~(_size(y) < largest)),
        throw=False,
    )
    assert solved.ys is not None
    assert solved.ts is not None
    states: Any = solved.ys[0]
    states = states if modes is None else modes.overlaps(states)
    assert solved.solver_state is not None
    found = Trajectories(
        states=states,
        events=None if levels is None else solver.times(solved.solver_state[1]),
        blown_up=solved.result == diffrax.RESULTS.event_occurred,
        finished=solved.result == diffrax.RESULTS.successful,
        reached=solved.ts[1][0],
        steps=solved.stats["num_steps"],
        end=jax.tree.map(lambda leaf: leaf[0], solved.ys[1]),
    )
    return found if before is None else _joined(before, found, times)


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
