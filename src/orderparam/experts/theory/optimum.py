"""The best learning rate of one size, from losses on a grid."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

NEIGHBOURS = 3  # points of the parabola around the lowest loss
_BOOTSTRAP = 200


@dataclass(frozen=True)
class Optimum:
    """The best learning rate of one size.

    Args:
        size: Scale factor.
        factor: Factor of the learning rates with the lowest fitted loss.
        log2_se: Standard error of its base-2 logarithm, by bootstrap over seeds; NaN with one seed.
        loss: Lowest mean loss on the grid.
        edge: Whether it lies at the end of the grid, so that the true optimum may be elsewhere.
    """

    size: int
    factor: float
    log2_se: float
    loss: float
    edge: bool


def find_optimum(
    size: int, factors: tuple[float, ...], loss: Float[np.ndarray, "factor seed"]
) -> Optimum:
    """The minimum of a parabola through the lowest mean loss and its neighbours."""
    mean = loss.mean(axis=1)
    if not np.isfinite(mean).any():
        return Optimum(size, factors[0], math.nan, math.inf, True)
    lowest = int(mean.argmin())
    seeds = loss.shape[1]
    se = math.nan
    if seeds > 1:
        generator = np.random.default_rng(0)
        draws = generator.integers(seeds, size=(_BOOTSTRAP, seeds))
        logs = [math.log2(best_factor(factors, loss[:, draw].mean(axis=1))) for draw in draws]
        se = float(np.std(logs))
    edge = lowest == 0 or lowest == len(factors) - 1
    return Optimum(size, best_factor(factors, mean), se, float(mean[lowest]), edge)


def best_factor(factors: tuple[float, ...], mean: Float[np.ndarray, " factor"]) -> float:
    """Where a parabola in log2(factor) through the lowest point and its neighbours is lowest.

    The lowest point itself where a neighbour is missing or diverged.
    """
    lowest = int(np.where(np.isfinite(mean), mean, np.inf).argmin())
    start = min(max(lowest - 1, 0), len(factors) - NEIGHBOURS)
    window = slice(start, start + NEIGHBOURS)
    x, y = np.log2(factors[window]), mean[window]
    if not np.isfinite(y).all() or lowest in (0, len(factors) - 1):
        return factors[lowest]
    curvature, slope, _ = np.polyfit(x - x[1], y, 2)
    return float(2 ** (x[1] + np.clip(-slope / (2 * curvature), x[0] - x[1], x[2] - x[1])))
