"""Nodes and weights of the standard normal law in L dimensions, fixed for a whole solve."""

import functools
import math
from typing import Any

import numpy as np
from jaxtyping import Float

from orderparam.support.arguments import integer
from orderparam.support.later import special, stats
from orderparam.support.memory import require_numbers

_RANGE = 9.0
_LIGHT = 1e-14
_TENSOR = {2: 21, 3: 15}
_FINE = {2: 31, 3: 21}
Rule = tuple[Float[Any, "node output"], Float[Any, " node"]]


@functools.lru_cache(maxsize=32)
def gaussian_rule(outputs: int, nodes: int, fine: bool = False) -> Rule:
    """A rule for averages over `outputs` independent standard normals.

    One output: Gauss-Legendre on [-9, 9] with the Gaussian as weight, whose error falls faster
    than any power of `nodes` for smooth functions and does not suffer from narrow ones, as
    Gauss-Hermite does. Two and three: tensor Gauss-Hermite without the lightest nodes. More:
    antithetic scrambled Sobol points, two scrambles.

    Args:
        outputs: Dimension L.
        nodes: Number of nodes for one output.
        fine: The refined rule, for the estimate of the error.

    Returns:
        Nodes and weights (sum 1 to rounding).
    """
    if outputs == 1:
        x, w = special.roots_legendre(2 * nodes if fine else nodes)
        weight = _RANGE * w * normal_density(_RANGE * x)
        return (_RANGE * x)[:, None], weight / weight.sum()
    if outputs in _TENSOR:
        x, w = special.roots_hermitenorm((_FINE if fine else _TENSOR)[outputs])
        w = w / w.sum()
        grid = np.stack(np.meshgrid(*[x] * outputs, indexing="ij"), axis=-1).reshape(-1, outputs)
        weight = functools.reduce(np.multiply.outer, [w] * outputs).ravel()
        kept = weight > _LIGHT
        return grid[kept], weight[kept] / weight[kept].sum()
    half = sobol_normals(outputs, 10 if fine else 9, 2, seed=1 if fine else 0).reshape(-1, outputs)
    points = np.concatenate([half, -half])
    # Antithetic points have mean zero already; whitening makes the covariance exact too.
    factor = np.linalg.cholesky(points.T @ points / len(points))
    points = np.linalg.solve(factor, points.T).T
    return points, np.full(len(points), 1 / len(points))


@functools.lru_cache(maxsize=16)
def sobol_normals(
    outputs: int, exponent: int, scrambles: int, seed: int = 0
) -> Float[np.ndarray, "scramble point output"]:
    """Independent scrambles of 2**exponent Sobol points, as standard normals."""
    parts = []
    for index in range(scrambles):
        generator = np.random.default_rng((seed, index))
        sampler = stats.qmc.Sobol(outputs, scramble=True, rng=generator)
        uniform = np.clip(sampler.random_base2(exponent), 1e-16, 1 - 1e-16)
        parts.append(special.ndtri(uniform))
    return np.stack(parts)


def normal_density(x: Float[np.ndarray, "..."] | float) -> Float[np.ndarray, "..."]:
    """Density of the standard normal law."""
    return np.asarray(np.exp(-np.square(x) / 2) / math.sqrt(2 * math.pi))


def checked_nodes(nodes: int) -> int:
    """A number of quadrature nodes, whose rule is an eigenvalue problem of that size."""
    count = integer("nodes", nodes, 2)
    require_numbers("nodes", 8 * count**2)
    return count
