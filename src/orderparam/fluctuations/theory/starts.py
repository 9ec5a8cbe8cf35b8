"""Fresh states from which training runs are replayed, with as much room as a dry run needs."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from orderparam.engine import CoefficientSpace, ParticleSpace, State, ranks, run, seeded_state
from orderparam.errors import CapacityExceeded
from orderparam.fluctuations.theory.replay import ParticleMeasure, Replay, WishartMeasure
from orderparam.kernels import KernelEvolution, KernelProgram, kernel_layout

FIRST = 32
"""Directions and seeds that there is room for at first."""

CROWDED = 4
"""Seeds have to be fewer than the particles by this factor."""

ROUND = 8
"""Room comes in steps of so many directions, so that sets of particles share one program."""


def particles(
    evolution: KernelEvolution,
    saved: Int[np.ndarray, " time"],
    samples: int,
    tolerance: float,
    seeds: Sequence[tuple[int, ...]],
) -> list[Replay]:
    """Runs of several sets of particles, of equal shapes.

    Raises:
        CapacityExceeded: If there are too few particles for the directions that open.
    """
    layout, program = kernel_layout(evolution), KernelProgram.of(evolution)

    def fresh(seed: tuple[int, ...], room: int, capacity: tuple[int, int]) -> State:
        spaces = {
            name: ParticleSpace.create(samples, room, (*seed, index))
            for index, name in enumerate(layout.spaces)
        }
        return seeded_state(layout, spaces, capacity, tolerance)

    needed = [_needed(program, fresh(s, FIRST, (FIRST, FIRST)), saved) for s in seeds]
    rx, ry, drawn = (max(numbers) for numbers in zip(*needed, strict=True))
    if drawn > samples // CROWDED:
        enough = 2 ** int(np.ceil(np.log2(CROWDED * drawn)))
        raise CapacityExceeded(
            f"Neurons of this problem use {drawn} random numbers each, which {samples} samples "
            f"cannot tell apart; raise `samples` to at least {enough}, or raise `tolerance`."
        )
    return [
        Replay(
            program,
            ParticleMeasure(fresh(s, drawn, (rx, ry))),
            jnp.asarray(saved),
            int(saved[-1]) + 1,
        )
        for s in seeds
    ]


def linear(evolution: KernelEvolution, saved: Int[np.ndarray, " time"], tolerance: float) -> Replay:
    """The run of a linear network, whose vectors are coefficients on the seeds."""
    layout, program = kernel_layout(evolution), KernelProgram.of(evolution)

    def fresh(room: int, capacity: tuple[int, int]) -> State:
        spaces = {name: CoefficientSpace.of(np.eye(room)) for name in layout.spaces}
        return seeded_state(layout, spaces, capacity, tolerance)

    rx, ry, drawn = _needed(program, fresh(FIRST, (FIRST, FIRST)), saved, step=1)
    measure = WishartMeasure(fresh(drawn, (rx, ry)))
    return Replay(program, measure, jnp.asarray(saved), int(saved[-1]) + 1)


def _needed(
    program: KernelProgram, state: State, saved: Int[np.ndarray, " time"], step: int = ROUND
) -> tuple[int, int, int]:
    """Room for directions of either side and for seeds, from a run without derivatives."""
    ended = run(program, state, saved[-1:]).state
    rx, ry = (max(pair) for pair in zip((1, 1), *ranks(ended).values(), strict=True))
    drawn = max(int(space.drawn) for space in ended.spaces.values())
    return step * -(-rx // step), step * -(-ry // step), drawn
