"""How large a sampled run of kernel evolution gets: room for histories, memory, time."""

import math

import numpy as np

from orderparam.contract import Estimate, SavePlan
from orderparam.engine import NORMALS, SLOTS
from orderparam.kernels.problem import KernelEvolution

COMPILER = 2**29
"""Bytes that the process and compiling take, measured for three layers."""

FLOPS = 2e10
"""Floating-point operations per second that the estimate assumes of one core."""

KINKED = 8
"""How many more directions gradients have where activations have kinks; measured at 1e-2."""

PATCHES = 64
"""Directions of patches at first, which hardly depend on the number of images."""


def block_of(problem: KernelEvolution) -> int:
    """Vectors that are passed forward through a layer at once."""
    samples = problem.data.count + problem.data.test_count
    return samples * problem.network.positions


def slots_of(problem: KernelEvolution) -> int:
    """Residual directions that are worth a slot: no more than vectors in a block."""
    return min(SLOTS, block_of(problem) * problem.data.outputs)


def capacity_of(problem: KernelEvolution, tolerance: float) -> tuple[int, int]:
    """Directions of features and of gradients that there is room for at first.

    Measured ranks for each independent input, with a little room.
    """
    if problem.network.positions > 1:
        features = PATCHES
    else:
        inputs = np.linalg.eigvalsh(problem.data.gram())
        independent = int(np.sum(inputs > tolerance * inputs.sum()))
        digits = -math.log10(tolerance)
        guess = independent * max(2.2 * digits - 2.0, 1.2)
        features = 16 * math.ceil((guess + 4) / 16)
    return features, features * (1 if problem.network.activation.smooth else KINKED)


def cost_of(
    problem: KernelEvolution,
    save: SavePlan,
    capacity: tuple[int, int],
    samples: int,
    replicates: int,
) -> Estimate:
    """Memory of spaces, histories and saved arrays, and time from the number of products."""
    layers, block = problem.network.depth, block_of(problem)
    offsets, (rx, ry) = problem.network.offsets, capacity
    column = slots_of(problem) * (1 + offsets) + rx + 2 * offsets * ry
    row = slots_of(problem) * (1 + offsets) + ry + 2 * offsets * rx
    basis = rx + ry + offsets * (rx + ry)
    vectors = (layers - 1) * (column + row + basis) + layers * (NORMALS + max(capacity))
    fields = 4 * layers * block * samples
    grid = len(save.grid(problem.steps))
    kept = grid if save.two_time else len(save.fields_at)
    followed = problem.data.count + problem.data.test_count
    kernels = replicates * grid * (2 * layers + 1) * followed**2
    # Each finished replicate keeps its last state. The state before a block is kept in case the
    # block must be repeated, and a compiled loop holds its state on entry, while running and on
    # exit, and copies of what it writes.
    states = replicates + 5
    arrays = states * samples * vectors + 4 * fields + replicates * kept * fields + 4 * kernels
    step = (layers - 1) * (4 * (column + row) + 2 * offsets * (rx + ry)) + 8 * layers
    seconds = (replicates + 1) * problem.steps * step * samples * block / FLOPS
    return Estimate(COMPILER + 8 * arrays, seconds)
