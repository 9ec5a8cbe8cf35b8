"""Ordinary convolutional networks of finite width: shapes of their weights, and predictions."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from orderparam.kernels.model.cnn import CNN


def filter_shapes(network: CNN, width: int) -> list[tuple[int, ...]]:
    """Shapes (out, in, *kernel) of the filters of all layers."""
    kernel = (network.kernel_size,) * len(network.shape)
    inputs = [network.channels] + [width] * (network.depth - 1)
    return [(width, channels, *kernel) for channels in inputs]


def readout_shape(network: CNN, width: int, outputs: int) -> tuple[int, int, int]:
    """Shape (channel, position, output) of the readout; a pooled one has one position."""
    return width, 1 if network.readout == "pooled" else network.positions, outputs


def convolution(
    x: Float[Array, "sample channel *padded"], filters: Float[Array, "out channel *kernel"]
) -> Float[Array, "sample out *shape"]:
    """Convolution with stride 1 and no padding, as `jax.lax.conv`.

    Written as one matrix product: inside compiled loops on a CPU, `lax.conv` is 40 times slower.
    """
    kernel = filters.shape[2:]
    shape = tuple(n - k + 1 for n, k in zip(x.shape[2:], kernel, strict=True))
    windows = [
        x[(slice(None), slice(None), *(slice(k, k + n) for k, n in zip(at, shape, strict=True)))]
        for at in itertools.product(*map(range, kernel))
    ]
    columns = jnp.stack(windows, axis=2).reshape(len(x), -1, math.prod(shape))
    image = filters.reshape(len(filters), -1) @ columns
    return image.reshape(len(x), len(filters), *shape)


def convolve(
    network: CNN,
    weights: dict[str, list[Any]],
    x: Float[Array, "sample dimension"],
    scale: Any,
    shifts: Sequence[tuple[Any, Any]],
) -> tuple[Float[Array, "sample output"], list[tuple[Array, Array]]]:
    """Predictions, and (h, phi) of every layer with axes (sample, channel, *shape)."""
    phi, layers = x.reshape(len(x), network.channels, *network.shape), []
    size, mode = network.kernel_size, "wrap" if network.padding == "circular" else "constant"
    around = [(0, 0), (0, 0), *[((size - 1) // 2, size // 2)] * len(network.shape)]
    for i, (filters, (h_shift, phi_shift)) in enumerate(zip(weights["W"], shifts, strict=True)):
        fan_in = math.prod(filters.shape[1:])
        h = convolution(jnp.pad(phi, around, mode=mode), filters) / math.sqrt(fan_in)
        if network.biases:
            h = h + weights["b"][i].reshape(-1, *(1,) * len(network.shape))
        h = h + h_shift
        phi = network.activation(h) + phi_shift
        layers.append((h, phi))
    (readout,) = weights["w"]
    features = phi.reshape(*phi.shape[:2], -1)
    if network.readout == "pooled":
        features = features.mean(axis=-1, keepdims=True)
    size = scale * readout.shape[0] * math.sqrt(readout.shape[1])
    return jnp.einsum("pna,nac->pc", features, readout) / size, layers
