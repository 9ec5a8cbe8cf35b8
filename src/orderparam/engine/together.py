"""Run several copies of one program in a single compiled call, each with its own numbers."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from orderparam.engine.growth import check_capacity, grown, overflowed
from orderparam.engine.run import Program, Run, block_bounds, run_block
from orderparam.engine.state import State

T = TypeVar("T")


def run_together(
    programs: Sequence[Program],
    states: Sequence[State],
    grid: Int[np.ndarray, " time"],
    *,
    block: int = 64,
    after_block: Callable[[int], Any] = lambda step: None,
) -> list[Run]:
    """Run programs that differ in numbers alone, mapped over one axis of a compiled call.

    Gives what `run` gives for each, up to rounding. A member that leaves the finite numbers does
    not stop the others: its observables say so. Members grow together.

    Args:
        programs: Programs of one kind whose arrays have equal shapes.
        states: A fresh state for each, of equal capacity.
        grid: Sorted steps to observe.
        block: Number of observed steps per compiled call.
        after_block: Called with the last step of each block.

    Raises:
        CapacityExceeded: If a space of any member would know more than S/4 vectors.

    Cost: That of the member that opens most directions, times their number.
    """
    program, began = _stacked(programs), time.perf_counter()
    state = _start(program, _stacked(states))
    saved: list[dict[str, np.ndarray]] = []
    done = 0
    while done < len(grid):
        count = min(block, len(grid) - done)
        bounds = jnp.asarray(block_bounds(grid, done, count, block))
        new, observed = jax.block_until_ready(_blocks(program, state, bounds))
        if bool(jnp.any(_overflowed(new))):
            full = _members(new, len(programs))
            state = _stacked([grown(m, full) for m in _members(state, len(programs))])
            continue
        state = new
        for member in _members(state, len(programs)):
            check_capacity(member)
        saved.append({k: np.asarray(v)[:, :count] for k, v in observed.items()})
        done += count
        after_block(int(grid[done - 1]))
    merged = {k: np.concatenate([s[k] for s in saved], axis=1) for k in saved[0]}
    seconds = (time.perf_counter() - began) / len(programs)
    return [
        Run({k: v[i] for k, v in merged.items()}, {}, member, 0.0, seconds)
        for i, member in enumerate(_members(state, len(programs)))
    ]


def _stacked(members: Sequence[T]) -> T:
    """One value whose arrays have a leading axis of members; everything else must be equal."""
    return jax.tree.map(
        lambda *leaves: jnp.stack(leaves) if eqx.is_array(leaves[0]) else leaves[0], *members
    )


def _members(stacked: T, count: int) -> list[T]:
    return [
        jax.tree.map(lambda leaf, i=i: leaf[i] if eqx.is_array(leaf) else leaf, stacked)
        for i in range(count)
    ]


@eqx.filter_jit
def _start(program: Program, state: State) -> State:
    return eqx.filter_vmap(lambda p, s: p.start(s))(program, state)


@eqx.filter_jit
def _blocks(
    program: Program, state: State, bounds: Int[Array, "block 2"]
) -> tuple[State, Mapping[str, Array]]:
    def member(p: Program, s: State) -> tuple[State, Mapping[str, Array]]:
        new, observed, _, _ = run_block(p, s, bounds)
        return new, observed

    return eqx.filter_vmap(member)(program, state)


@eqx.filter_jit
def _overflowed(state: State) -> Array:
    return eqx.filter_vmap(overflowed)(state)
