"""What the methods share that integrate equations in time: settings, one compiled call, labels."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from orderparam.contract import Method, SavePlan
from orderparam.online.problem import TeacherStudent
from orderparam.online.theory.events import levels_of
from orderparam.online.theory.flow import Rule, rule_of, velocity
from orderparam.online.theory.integration import BLOCK, Steps, Trajectories, compiled
from orderparam.online.theory.modes import Modes
from orderparam.online.theory.moments import Fixed, State
from orderparam.online.theory.pack import packed
from orderparam.results import Solution
from orderparam.support.arguments import integer, probability, truth
from orderparam.support.notices import notice

_LENGTHS = (64, 256, 1024)
"""Compiled numbers of saved times, and multiples of the last."""


_STILL = 1e-12
"""Velocity of M that rounding explains."""


class IntegratedMethod(Method):
    """What methods have in common that integrate equations in time; see `OverlapODE`."""

    rtol: float = eqx.field(static=True)
    atol: float = eqx.field(static=True)
    sgd_noise: bool = eqx.field(static=True)
    max_steps: int = eqx.field(static=True)
    margin: float = eqx.field(static=True)
    rest: float = eqx.field(static=True)

    def __init__(
        self,
        rtol: float = 1e-8,
        atol: float = 1e-10,
        sgd_noise: bool = True,
        max_steps: int = 16384,
        margin: float = 0.05,
        rest: float = 0.01,
    ) -> None:
        self.rtol = probability("rtol", rtol)
        self.atol = probability("atol", atol)
        self.sgd_noise = truth("sgd_noise", sgd_noise)
        self.max_steps = integer("max_steps", max_steps)
        self.margin = probability("margin", margin)
        self.rest = probability("rest", rest)

    def config(self) -> Mapping[str, Any]:
        """The settings as plain JSON values."""
        names = ("rtol", "atol", "sgd_noise", "max_steps", "margin", "rest")
        return {"name": self.name, **{n: getattr(self, n) for n in names}}


def integrated(
    method: Any,
    problem: TeacherStudent,
    save: SavePlan,
    seed: int,
    starts: Iterable[tuple[State, Fixed, Modes | None]],
) -> Solution:
    """Integrate from each of the `starts` (replicates of one another) and label the results.

    The first is integrated once more with looser tolerances, which shows the integration's error.

    Args:
        method: `OverlapODE`, or another with its tolerances and levels.
        problem: What is integrated.
        save: What to keep.
        seed: Seed of the replicates.
        starts: Initial states, what stays constant, and the modes if these are integrated.
    """
    times = problem.times(save)
    levels, known = levels_of(problem, method.sgd_noise, method.margin, method.rest)
    steps = Steps(np.asarray(method.rtol), np.asarray(method.atol), method.max_steps)
    padded = np.pad(times, (0, _length(len(times)) - len(times)), "edge")
    rest = (rule_of(problem, method.sgd_noise), levels, padded)
    runs, coarser, spent, note = [], None, np.zeros(2), ""

    def run_from(start: tuple[Any, ...], steps: Steps) -> Trajectories:
        nonlocal spent
        filled, count = _filled(start), len(start[0].M)
        run, took = _timed((*filled, *rest, steps))
        spent += took
        if _goes_on(problem, run):
            run, took = _timed((*filled, *rest, steps, run))
            spent += took
        return _kept(run, count, len(times), known)

    for start in starts:
        note = _stuck_note(start[0], start[1], rest[0])
        runs.append(run_from(start, steps))
        if coarser is None:
            coarser = run_from(start, steps.coarser())
    seconds, compile_time = spent.tolist()
    return packed(method, problem, times, (runs, coarser), seed, seconds, compile_time, note)


def _stuck_note(first: State, fixed: Fixed, rule: Rule) -> str:
    """A warning for starts without overlap whose symmetry the equations keep for ever."""
    blank = np.flatnonzero(~np.asarray(first.M).reshape(len(first.M), -1).any(axis=1))
    if not blank.size:
        return ""

    def rise(index: int) -> np.ndarray:
        state = jax.tree.map(lambda part: part[index], first)
        own = fixed.with_teachers(tuple(part[index] for part in fixed.teachers()))
        known = jax.tree.map(jnp.asarray, (state, (own, rule)))
        return np.asarray(velocity(jnp.zeros(()), *known).M)

    stuck = [index for index in blank.tolist() if np.abs(rise(index)).max() <= _STILL]
    if not stuck:
        return ""
    note = (
        f"M(0) = 0 in {len(stuck)} of {len(first.M)} starts: the equations keep it, so no teacher "
        "is ever learned; start with the overlaps of finite N (random_overlaps)."
    )
    notice(note)
    return note


def _kept(run: Trajectories, draws: int, times: int, events: bool) -> Trajectories:
    """What was asked for, without what fills it up to the compiled shapes."""
    run = jax.tree.map(lambda part: np.asarray(part)[:draws], run)
    states = jax.tree.map(lambda part: part[:, :times], run.states)
    return replace(run, states=states, events=run.events if events else None)


def _filled(start: tuple[State, Fixed, Modes | None]) -> tuple[State, Fixed, Modes | None]:
    """The same with copies of the last trajectory, up to whole blocks."""
    first, fixed, modes = start
    count = len(first.M)
    more = -count % BLOCK if count > BLOCK else 0

    def filled(part: np.ndarray) -> np.ndarray:
        return np.concatenate([part, np.repeat(part[-1:], more, axis=0)])

    if not more:
        return start
    teachers = fixed.with_teachers(tuple(map(filled, fixed.teachers())))
    return jax.tree.map(filled, first), teachers, jax.tree.map(filled, modes)


def _length(count: int) -> int:
    """The compiled number of times that holds so many."""
    last = _LENGTHS[-1]
    return next((size for size in _LENGTHS if size >= count), -(-count // last) * last)


def _timed(arguments: tuple[Any, ...]) -> tuple[Trajectories, Float[np.ndarray, "2"]]:
    """Run the compiled program; seconds of the run, and of compilation."""
    program, compile_time = compiled(arguments)
    began = time.perf_counter()
    run = jax.block_until_ready(program(*arguments))
    return run, np.array([time.perf_counter() - began, compile_time])


def _goes_on(problem: TeacherStudent, run: Trajectories) -> bool:
    """Whether implicit steps may finish what took too many: smooth and closed equations alone."""
    if problem.activation not in ("quadratic", "erf_scaled"):
        return False
    finite = [
        np.isfinite(part).all(tuple(range(1, part.ndim))) for part in jax.tree.leaves(run.end)
    ]
    left = ~(np.asarray(run.finished) | np.asarray(run.blown_up))
    return bool((left & np.all(finite, axis=0)).any())
