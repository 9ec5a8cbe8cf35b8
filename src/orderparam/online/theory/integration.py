"""Integration of all initial states in one compiled program."""

import time
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from orderparam.online.theory.events import Levels, event_times
from orderparam.online.theory.flow import Rule, velocity
from orderparam.online.theory.modes import ModalState, Modes, modal_velocity
from orderparam.online.theory.moments import Fixed, State

BLOWN_UP = 1e3
"""tr Q, relative to its start (at least 1), that counts as diverged."""


class Steps(eqx.Module):
    """Settings of the integrator, fixed when the program is compiled.

    Args:
        rtol: Relative tolerance of a step.
        atol: Absolute tolerance of a step.
        limit: Number of steps after which a trajectory is given up.
    """

    rtol: float = eqx.field(static=True)
    atol: float = eqx.field(static=True)
    limit: int = eqx.field(static=True)

    def controller(self, rule: Rule) -> Any:
        """Adaptive steps that stop at each jump of the learning rate and go on behind it."""
        adaptive = diffrax.PIDController(rtol=self.rtol, atol=self.atol)
        if rule.schedule is None or len(rule.schedule.jumps) == 0:
            return adaptive
        return diffrax.ClipStepSizeController(adaptive, jump_ts=rule.schedule.jumps)


class Trajectories(eqx.Module):
    """What the compiled program returns, with a leading axis for the initial state."""

    states: State
    events: Float[Array, "*draw event"] | None
    blown_up: Bool[Array, "*draw"]
    finished: Bool[Array, "*draw"]
    steps: Array


def integrate(
    first: State,
    fixed: Fixed,
    modes: Modes | None,
    rule: Rule,
    levels: Levels | None,
    times: Float[Array, " time"],
    steps: Steps,
) -> Trajectories:
    """Integrate from every initial state (leading axis of `first` and of the teachers)."""
    return jax.vmap(
        lambda state, teachers, own: _one(
            state, fixed.with_teachers(teachers), own, rule, levels, times, steps
        )
    )(first, fixed.teachers(), modes)


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
) -> Trajectories:
    motion: tuple[Any, ...] = (velocity, first, (fixed, rule))
    if modes is not None:
        motion = (modal_velocity, modes.start(), (fixed, rule, modes))
    largest = BLOWN_UP * jnp.maximum(_size(first), 1.0)
    solved = diffrax.diffeqsolve(
        diffrax.ODETerm(motion[0]),
        diffrax.Dopri8(),
        t0=0.0,
        t1=times[-1],
        dt0=None,
        y0=motion[1],
        args=motion[2],
        saveat=diffrax.SaveAt(ts=times),
        stepsize_controller=steps.controller(rule),
        max_steps=steps.limit,
        adjoint=diffrax.ForwardMode(),
        event=diffrax.Event(lambda t, y, args, **_: ~(_size(y) < largest)),
        throw=False,
    )
    states: Any = solved.ys
    states = states if modes is None else modes.overlaps(states)
    events = None if levels is None else event_times(times, states, fixed, rule, levels)
    return Trajectories(
        states,
        events,
        solved.result == diffrax.RESULTS.event_occurred,
        solved.result == diffrax.RESULTS.successful,
        solved.stats["num_steps"],
    )


_PROGRAMS: dict[Any, Any] = {}


def compiled(arguments: tuple[Any, ...]) -> tuple[Any, float]:
    """The compiled program for arguments of these shapes and settings, and the time it took."""
    arrays, static = eqx.partition(arguments, eqx.is_array)
    leaves, shape = jax.tree.flatten(arrays)
    key = (shape, static, tuple((leaf.shape, str(leaf.dtype)) for leaf in leaves))
    if key in _PROGRAMS:
        return _PROGRAMS[key], 0.0
    began = time.perf_counter()
    program: Any = eqx.filter_jit(integrate)
    _PROGRAMS[key] = program.lower(*arguments).compile()
    return _PROGRAMS[key], time.perf_counter() - began
