"""Neurons at initialisation: scrambled Sobol points, or the nodes of a quadrature."""

import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from orderparam.errors import CapacityExceeded, UnsupportedCombination
from orderparam.fluctuations.theory.particles import Neuron, Training
from orderparam.kernels import KernelEvolution
from orderparam.numerics.gaussian import sobol_normals
from orderparam.support.later import special

MOST_DIRECTIONS = 21201
"""Coordinates that Sobol points have."""

MOST_NODES = 2**16


def random_numbers(evolution: KernelEvolution, rank: int) -> int:
    """Independent normals that a neuron starts from."""
    return evolution.data.outputs + rank + (evolution.network.bias_std > 0)


def sobol(
    dimension: int, samples: int, replicates: int, seed: int
) -> Float[np.ndarray, "replicate neuron dimension"]:
    """Independent scrambles of `samples` points (a power of two), as standard normals.

    Raises:
        CapacityExceeded: If there are more directions than Sobol points have coordinates.
    """
    if dimension > MOST_DIRECTIONS:
        raise CapacityExceeded(
            f"A neuron of this problem starts from {dimension} random numbers, but Sobol points "
            f"have {MOST_DIRECTIONS} coordinates; use fewer samples or inputs of fewer dimensions."
        )
    return sobol_normals(dimension, int(np.log2(samples)), replicates, seed)


def quadrature(
    dimension: int, nodes: int
) -> tuple[Float[np.ndarray, "node dimension"], Float[np.ndarray, " node"]]:
    """Tensor Gauss-Hermite nodes and weights; exact for polynomials of degree 2 nodes - 1.

    Raises:
        UnsupportedCombination: If that would be too many nodes.
    """
    if nodes**dimension > MOST_NODES:
        raise UnsupportedCombination(
            f"Quadrature with {nodes} nodes in each of the {dimension} directions that a neuron "
            f"starts from would need {nodes**dimension} nodes, above {MOST_NODES}; leave out "
            "`nodes` for random samples, or use fewer."
        )
    x, w = special.roots_hermitenorm(nodes)
    w = w / w.sum()
    grid = np.stack(np.meshgrid(*[x] * dimension, indexing="ij"), axis=-1).reshape(-1, dimension)
    return grid, functools.reduce(np.multiply.outer, [w] * dimension).ravel()


def neurons(
    evolution: KernelEvolution, training: Training, normals: Float[np.ndarray, "neuron dimension"]
) -> Neuron:
    """Initial weights from standard normals: readouts, input weights by importance, bias."""
    outputs, rank = evolution.data.outputs, training.rows.shape[1]
    network, count = evolution.network, len(normals)
    biases = np.zeros((count, 1 if network.biases else 0))
    if network.bias_std > 0:
        biases = network.bias_std * normals[:, outputs + rank :]
    inputs = network.weight_std[0] * normals[:, outputs : outputs + rank]
    return Neuron(*(jnp.asarray(part) for part in (inputs, normals[:, :outputs], biases)))
