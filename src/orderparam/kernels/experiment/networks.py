"""Ordinary networks of finite width: initial weights, predictions, learning rates of each part."""

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from orderparam.kernels.experiment.convolutional_networks import (
    convolve,
    filter_shapes,
    readout_shape,
)
from orderparam.kernels.model.cnn import CNN
from orderparam.kernels.model.network import Network, ResNet

Weights = dict[str, list[Any]]
PARAMETERIZATIONS = ("mean_field", "ntk", "standard")


def draw(
    network: Network, width: int, dimension: int, outputs: int, seed: int, runs: Sequence[int]
) -> Weights:
    """Initial weights, each network drawn on the host from (seed, width, run) alone.

    They are the same on every device and in both precisions: `W` holds W^0 ... W^{L-1}, `b` the
    biases (empty without), `w` the readout, all with a leading axis of runs.
    """
    L, shapes = network.depth, weight_shapes(network, width, dimension, outputs)
    drawn = []
    for run in runs:
        generator = np.random.default_rng((seed, width, run))
        drawn.append([generator.standard_normal(shape, np.float32) for shape in shapes])
    arrays = [np.stack(part) for part in zip(*drawn, strict=True)]
    matrices = [np.float32(s) * m for s, m in zip(network.weight_std, arrays, strict=False)]
    biases = [np.float32(network.bias_std) * b for b in arrays[L + 1 :]]
    return {"W": matrices, "b": biases, "w": arrays[L : L + 1]}


def weight_shapes(
    network: Network, width: int, dimension: int, outputs: int
) -> list[tuple[int, ...]]:
    """Shapes of W^0 ... W^{L-1}, of the readout, and of the biases where there are any."""
    L = network.depth
    if isinstance(network, CNN):
        shapes = [*filter_shapes(network, width), readout_shape(network, width, outputs)]
    else:
        shapes = [(width, dimension), *[(width, width)] * (L - 1), (width, outputs)]
    return shapes + ([(width,)] * L if network.biases else [])


def forward(
    network: Network,
    weights: Weights,
    x: Float[Array, "sample dimension"],
    scale: Any,
    shifts: Sequence[tuple[Any, Any]] | None = None,
) -> tuple[Float[Array, "sample output"], list[tuple[Array, Array]]]:
    """Predictions `w phi^L / (scale N)` and (h, phi) of every layer, neurons in axis 1.

    `shifts` are added to h and to phi layer by layer; derivatives by them are backward fields.
    """
    shifts = shifts or [(0.0, 0.0)] * network.depth
    if isinstance(network, CNN):
        return convolve(network, weights, x, scale, shifts)
    phi, h, layers = x, jnp.zeros(()), []
    for i, (matrix, (h_shift, phi_shift)) in enumerate(zip(weights["W"], shifts, strict=True)):
        image = phi @ matrix.T / math.sqrt(matrix.shape[1])
        if network.biases:
            image = image + weights["b"][i]
        if i > 0 and isinstance(network, ResNet):
            image = h + image / network.depth**network.branch_exponent
        h = image + h_shift
        phi = network.activation(h) + phi_shift
        layers.append((h, phi))
    (readout,) = weights["w"]
    return phi @ readout / (scale * readout.shape[0]), layers


def rate_factors(
    network: Network, width: int, dimension: int, parameterization: str
) -> dict[str, list[float]]:
    """Factors of the learning rate of each array, in the shape of the weights.

    Residual branches learn at L^{2a-1}. In the standard parameterization (weights of variance
    1/fan-in, one learning rate eta/N for all) the input weights learn at D/N and the biases at 1/N
    of the rate that they have in the NTK parameterization.
    """
    L = network.depth
    inside = 1.0
    if isinstance(network, ResNet):
        inside = network.depth ** (2 * network.branch_exponent - 1)
    factors = {"W": [1.0] + [inside] * (L - 1), "b": [], "w": [1.0]}
    if network.biases:
        factors["b"] = [1.0] + [inside] * (L - 1)
    if parameterization == "standard":
        factors["W"][0] = dimension / width
        factors["b"] = [b / width for b in factors["b"]]
    return factors


def output_scale(gamma0: float, width: int, parameterization: str) -> float:
    """What takes the place of gamma0: itself, or 1/sqrt(N) in NTK and standard parameterization."""
    return gamma0 if parameterization == "mean_field" else width**-0.5
