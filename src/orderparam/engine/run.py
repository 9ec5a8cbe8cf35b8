"""Run a causal program through time: compiled blocks of steps with a host boundary between them."""

import abc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from orderparam.engine.growth import check_capacity, grown, overflowed
from orderparam.engine.state import State
from orderparam.errors import Diverged

Observed = dict[str, Array]
Fields = dict[str, Array]


class Program(eqx.Module):
    """A learning rule written with the engine's verbs; knows nothing of how spaces are represented.

    Array leaves are parameters (they may change without a new compilation), everything else is part
    of the compiled program.
    """

    @abc.abstractmethod
    def start(self, state: State) -> State:
        """Draw the vectors known before the first step and keep them by name."""

    @abc.abstractmethod
    def step(self, state: State, t: Int[Array, ""]) -> tuple[State, Observed, Fields]:
        """Observe step `t`, then train: new state, scalars and kernels, single-site fields."""


@dataclass(frozen=True)
class Run:
    """What a program left behind.

    Attributes:
        observed: Each observable with leading axis time.
        fields: At each requested step, every field of the program.
        state: The final state.
        compile_seconds: Time of the calls that compiled.
        run_seconds: Time of all other calls.
    """

    observed: dict[str, Float[np.ndarray, "time ..."]]
    fields: dict[int, dict[str, Float[np.ndarray, "..."]]]
    state: State
    compile_seconds: float
    run_seconds: float


def run(
    program: Program,
    state: State,
    grid: Int[np.ndarray, " time"],
    *,
    fields_at: Sequence[int] = (),
    block: int = 64,
    after_block: Callable[[int, Mapping[str, np.ndarray]], Any] = lambda step, observed: None,
) -> Run:
    """Run `program` from a fresh state and observe the steps in `grid`.

    The steps of a block run in one compiled loop; between blocks the host checks for non-finite
    values, enlarges histories that filled up (the block is then repeated: growing never changes
    what was computed) and reports. The size of a block does not change any bit.

    Args:
        program: The program.
        state: An empty state of the program's layout.
        grid: Sorted steps to observe; the run ends after the last one.
        fields_at: Steps of `grid` whose single-site fields are returned.
        block: Number of observed steps per compiled call.
        after_block: Called with the last step of each block and what the block observed.

    Raises:
        Diverged: If an observable is non-finite; names step and observable.
        CapacityExceeded: If a sampled space would know more than S/4 vectors.
    """
    clock = _Clock()
    state = clock(_start, program, state)
    saved: list[dict[str, np.ndarray]] = []
    fields: dict[int, dict[str, np.ndarray]] = {}
    done, stops = 0, {*fields_at}
    while done < len(grid):
        count = _block_length(grid[done:], block, stops)
        result = clock(_run_block, program, state, block_bounds(grid, done, count, block))
        if overflowed(result[0]):
            state = grown(state, [result[0]])
            continue
        state, observed, last, trouble = result
        check_capacity(state)  # first, as a space that is too full makes numbers non-finite
        _raise_if_troubled(trouble, observed)
        saved.append({k: np.asarray(v)[:count] for k, v in observed.items()})
        done += count
        step = int(grid[done - 1])
        if step in stops:
            fields[step] = {k: np.asarray(v) for k, v in last.items()}
        after_block(step, saved[-1])
    merged = {k: np.concatenate([s[k] for s in saved]) for k in saved[0]}
    return Run(merged, fields, state, clock.compile_seconds, clock.run_seconds)


_traced: list[str] = []


class _Clock:
    """Separates calls that compile from calls that only run."""

    def __init__(self) -> None:
        self.compile_seconds = self.run_seconds = 0.0

    def __call__(self, function: Callable[..., Any], *args: Any) -> Any:
        before, start = len(_traced), time.perf_counter()
        result = jax.block_until_ready(function(*args))
        spent = time.perf_counter() - start
        if len(_traced) > before:
            self.compile_seconds += spent
        else:
            self.run_seconds += spent
        return result


@eqx.filter_jit
def _start(program: Program, state: State) -> State:
    _traced.append("start")  # Python runs only while tracing, which is followed by compilation.
    return program.start(state)


@eqx.filter_jit
def _run_block(
    program: Program, state: State, bounds: Int[Array, "block 2"]
) -> tuple[State, Observed, Fields, Int[Array, "2"]]:
    _traced.append("block")
    return run_block(program, state, bounds)


@eqx.filter_jit
def _step(program: Program, state: State, t: Int[Array, ""]) -> tuple[State, Observed, Fields]:
    """A step, which the shapes of its results and the loops around it then trace only once."""
    return program.step(state, t)


def run_block(
    program: Program, state: State, bounds: Int[Array, "block 2"]
) -> tuple[State, Observed, Fields, Int[Array, "2"]]:
    """Steps bounds[i, 0] ... bounds[i, 1] - 1 for each i, observing the last step of each.

    Returns:
        The new state, observables of each i, fields of the last step, and the first step and number
        of the observable (in order of names) that was not finite, -1 if all were.
    """

    def body(t: Array, carry: Any) -> Any:
        state, _, _, trouble = carry
        state, observed, fields = _step(program, state, t)
        bad = jnp.stack([~jnp.all(jnp.isfinite(observed[k])) for k in sorted(observed)])
        found = jnp.stack([t, jnp.argmax(bad)])
        trouble = jnp.where((trouble[0] < 0) & jnp.any(bad), found, trouble)
        return state.forget(), observed, fields, trouble

    def observe(carry: Any, bound: Array) -> Any:
        # Once there is no more room what follows is discarded, so it need not be computed.
        stop = jnp.where(overflowed(carry[0]), bound[0], bound[1])
        carry = lax.fori_loop(bound[0], stop, body, carry)
        return carry, carry[1]

    _, observed, fields = jax.eval_shape(_step, program, state, bounds[0, 0])
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), (observed, fields))
    carry = (state, *zeros, jnp.full(2, -1, bounds.dtype))
    (state, _, fields, trouble), observed = lax.scan(observe, carry, bounds)
    return state, observed, fields, trouble


def _block_length(grid: Int[np.ndarray, " time"], block: int, stops: set[int]) -> int:
    """Observed steps in the next block, which ends at the first step whose fields are kept."""
    for index, step in enumerate(grid[:block]):
        if int(step) in stops:
            return index + 1
    return min(block, len(grid))


def block_bounds(
    grid: Int[np.ndarray, " time"], done: int, count: int, block: int
) -> Int[np.ndarray, "block 2"]:
    """Loop bounds of a block; entries beyond `count` are empty, so every block compiles alike."""
    ends = grid[done : done + count] + 1
    first = grid[done - 1] + 1 if done else 0
    bounds = np.stack([np.concatenate([[first], ends[:-1]]), ends], axis=1)
    idle = np.full((block - count, 2), ends[-1])
    return np.concatenate([bounds, idle]).astype(np.int64)


def _raise_if_troubled(trouble: Array, observed: Mapping[str, Array]) -> None:
    step, index = (int(v) for v in trouble)
    if step >= 0:
        raise Diverged(
            f"`{sorted(observed)[index]}` is not finite at step {step}. Lower the learning rate, "
            "or check the data and the activation for overflow."
        )
