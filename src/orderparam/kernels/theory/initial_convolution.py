"""Kernels of convolutional networks at initialisation, between all positions of all samples."""

import numpy as np
from jaxtyping import Float

from orderparam.engine.taps import Taps, adjoint
from orderparam.errors import CapacityExceeded
from orderparam.kernels.model.cnn import CNN
from orderparam.numerics.pairs import active_share, pair_averages

LARGEST = 8192
"""Positions of all samples; kernels then have 512 MB each."""

Spatial = Float[np.ndarray, "sample position sample position"]


def convolutional_kernels(
    network: CNN, x: Float[np.ndarray, "sample dimension"]
) -> tuple[
    Float[np.ndarray, "layer sample sample"],
    Float[np.ndarray, "layer sample sample"],
    Float[np.ndarray, "sample sample"],
    float,
    float,
]:
    """Phi^l, G^l (l = 1..L) and the tangent kernel of an infinitely wide network before training.

    Between positions a of mu and b of nu, `H^{l+1} = sigma^2 mean_k Phi^l_{a+k, b+k} + sigma_b^2`,
    `Phi^l = E[phi(u) phi(v)]`, and backward `G^l_{ab} = sigma^2/K sum_k G^{l+1}_{a-k, b-k}
    E[phi'(u) phi'(v)]` with `G^{L+1} = 1/A^2` (pooled) or `delta_ab/A` (flattened) behind the
    readout. Phi and G are returned as readouts see them (averages and sums over positions), the
    tangent kernel is `sum_ab G^{l+1}_{ab} (mean_k Phi^l_{a+k, b+k} + bias)`, summed over layers.
    Last come `error` and `active` of `InitialKernels`.

    Raises:
        CapacityExceeded: If samples times positions exceed 8192.

    Cost: O(L K (P A)^2) time, O((P A)^2) memory a layer.

    Source: Bordelon & Pehlevan (2022), section 3 (lazy limit) with positions;
    docs/theory/kernels.md, Kernels at initialisation, Convolutional networks.
    """
    count = len(x) * network.positions
    if count > LARGEST:
        raise CapacityExceeded(
            f"Kernels between all positions of all samples, {count} here, are formed up to "
            f"{LARGEST}; take fewer samples or smaller images, or use the method causal."
        )
    bias, std = network.bias_std**2, network.weight_std
    rows = network.patches(x).reshape(len(x) * network.positions, -1)
    seen = [(rows @ rows.T).reshape(len(x), network.positions, len(x), -1)]
    phis, slopes, errors, active = [], [], [], []
    for i in range(network.depth):
        covariance = (std[i] ** 2 * seen[-1] + bias).reshape(count, count)
        phi, slope, error = pair_averages(network.activation, covariance)
        phis.append(phi.reshape(seen[-1].shape))
        slopes.append(slope.reshape(seen[-1].shape))
        errors.append(error)
        active.append(active_share(network.activation, np.diagonal(covariance)))
        if i + 1 < network.depth:
            seen.append(_averaged(phis[-1], network.taps()))
    backward = adjoint(network.taps())
    gs = [_behind_readout(network, len(x)) * slopes[-1]]
    for i in range(network.depth - 1, 0, -1):
        gs.insert(0, std[i] ** 2 * _averaged(gs[0], backward) * slopes[i - 1])
    extra = 1.0 if network.biases else 0.0
    tangent = sum(np.einsum("manb->mn", g * (s + extra)) for g, s in zip(gs, seen, strict=True))
    Phi = np.stack([_joined(network, phi) for phi in phis]) / _pairs(network)
    G = np.stack([_joined(network, g) for g in gs])
    return Phi, G, tangent + Phi[-1], sum(errors), min(active)


def _averaged(kernel: Spatial, taps: Taps) -> Spatial:
    """Average over offsets of a kernel at the positions that a filter looks at."""
    padded = np.pad(kernel, ((0, 0), (0, 1), (0, 0), (0, 1)))  # position -1 is empty
    total = np.zeros_like(kernel)
    for row in map(np.asarray, taps):
        total += padded[:, row][:, :, :, row]
    return total / len(taps)


def _behind_readout(network: CNN, samples: int) -> Float[np.ndarray, "..."]:
    A = network.positions
    if network.readout == "pooled":
        return np.full((1, A, 1, A), 1 / A**2)
    return (np.eye(A) / A)[None, :, None, :]


def _joined(network: CNN, kernel: Spatial) -> Float[np.ndarray, "sample sample"]:
    """Sum over pairs of positions if pooled, over equal positions if flattened."""
    return np.einsum("manb->mn" if network.readout == "pooled" else "mana->mn", kernel)


def _pairs(network: CNN) -> int:
    return network.positions ** (2 if network.readout == "pooled" else 1)
