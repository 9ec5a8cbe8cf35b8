"""Quasi-random standard normals, drawn on the host in blocks of coordinates."""

import functools

import numpy as np
from jaxtyping import Float

from orderparam.support.later import special, stats

BLOCK = 64
"""Coordinates per scrambled Sobol block."""


def draw_normals(
    seed: tuple[int, ...], start: int, stop: int, samples: int
) -> Float[np.ndarray, "coordinates samples"]:
    """Coordinates `start` to `stop` of a randomised quasi-Monte Carlo sample of normals.

    Coordinates come in blocks of 64. Each block is an independently scrambled Sobol net of
    `samples` points in random order, so that coordinates of different blocks, which reuse the same
    direction numbers, are independent. A block depends on its index and the seed alone: asking for
    more coordinates never changes earlier ones.

    Args:
        seed: Integers that name the space and the replicate.
        start: First coordinate, a multiple of 64.
        stop: One past the last coordinate, a multiple of 64.
        samples: Number of points, a power of two.

    Returns:
        Array of shape (stop - start, samples).
    """
    blocks = [_block(seed, index, samples) for index in range(start // BLOCK, stop // BLOCK)]
    return np.concatenate(blocks) if blocks else np.zeros((0, samples))


@functools.lru_cache(maxsize=16)
def _block(
    seed: tuple[int, ...], index: int, samples: int
) -> Float[np.ndarray, "coordinates samples"]:
    """One net, to be read only: runs of one scrambling at several tolerances share it."""
    rng = np.random.default_rng([*seed, index])
    points = stats.qmc.Sobol(BLOCK, scramble=True, rng=rng).random(samples)
    points = points[rng.permutation(samples)]
    # A scrambled point can be exactly 0, whose normal quantile is minus infinity.
    tiny = 0.5**40
    return special.ndtri(np.clip(points, tiny, 1 - tiny)).T.copy()
