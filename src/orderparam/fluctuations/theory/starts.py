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

COARSER = 100.0
"""Factor of the tolerance whose effect is stated as the error of a linear run."""

ROUND = 8
"""Room comes in steps of so many directions, so that sets of particles share one program."""


def particles(
    evolution: KernelEvolution,
    saved: Int[np.ndarray, " time"],
    samples: int,
    tolerance: float,
    seeds: Sequence[tuple[int, ...]],
) -> tuple[list[Replay], list[Replay]]:
    """Runs of several sets of particles, and of the halves of the first, of equal shapes.

    Halves show what is left of the finite number of particles: what scatters in the whole set is
    the average of what scatters in its halves, but errors of order 1/S are twice as large.

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

    def all_runs(room: int, capacity: tuple[int, int]) -> tuple[list[Replay], list[Replay]]:
        measures = [ParticleMeasure(fresh(s, room, capacity)) for s in seeds]
        halves = [measures[0].half(second) for second in (False, True)]
        run = lambda m: Replay(program, m, jnp.asarray(saved), int(saved[-1]) + 1)  # noqa: E731
        return [run(m) for m in measures], [run(m) for m in halves]

    tried = [one for runs in all_runs(FIRST, (FIRST, FIRST)) for one in runs]
    needed = [_needed(program, one.measure.state, saved) for one in tried]
    rx, ry, drawn = (max(numbers) for numbers in zip(*needed, strict=True))
    if drawn > samples // CROWDED:
        enough = 2 ** int(np.ceil(np.log2(CROWDED * drawn)))
        raise CapacityExceeded(
            f"Neurons of this problem use {drawn} random numbers each, which {samples} samples "
            f"cannot tell apart; raise `samples` to at least {enough}, or raise `tolerance`."
        )
    return all_runs(drawn, (rx, ry))


def linear(
    evolution: KernelEvolution, saved: Int[np.ndarray, " time"], tolerance: float
) -> tuple[Replay, Replay]:
    """The run of a linear network, whose vectors are coefficients on the seeds, and a coarser one.

    The coarser one has COARSER times the tolerance, and room for as many seeds.
    """
    layout, program = kernel_layout(evolution), KernelProgram.of(evolution)

    def fresh(room: int, capacity: tuple[int, int], times: float) -> State:
        spaces = {name: CoefficientSpace.of(np.eye(room)) for name in layout.spaces}
        return seeded_state(layout, spaces, capacity, times * tolerance)

    rx, ry, drawn = _needed(program, fresh(FIRST, (FIRST, FIRST), 1.0), saved, step=1)
    fine, coarse = (WishartMeasure(fresh(drawn, (rx, ry), times)) for times in (1.0, COARSER))
    last = int(saved[-1]) + 1
    return (
        Replay(program, fine, jnp.asarray(saved), last),
        Replay(program, coarse, jnp.asarray(saved), last),
    )


def _needed(
    program: KernelProgram, state: State, saved: Int[np.ndarray, " time"], step: int = ROUND
) -> tuple[int, int, int]:
    """Room for directions of either side and for seeds, from a run without derivatives."""
    ended = run(program, state, saved[-1:]).state
    rx, ry = (max(pair) for pair in zip((1, 1), *ranks(ended).values(), strict=True))
    drawn = max(int(space.drawn) for space in ended.spaces.values())
    return step * -(-rx // step), step * -(-ry // step), drawn
