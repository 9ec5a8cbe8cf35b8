"""Kernels at initialisation, and the largest stable learning rate."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from orderparam.kernels.model.cnn import CNN
from orderparam.kernels.model.network import Network, ResNet
from orderparam.kernels.problem import KernelEvolution
from orderparam.kernels.theory.initial_convolution import convolutional_kernels
from orderparam.kernels.theory.tangent import tangent_kernel
from orderparam.numerics.pairs import active_share, pair_averages


class InitialKernels(NamedTuple):
    """Kernels before training, and how well they are known.

    Attributes:
        Phi: Feature kernels.
        G: Gradient kernels.
        ntk: The tangent kernel.
        error: Relative error of the averages over pairs, summed over layers.
        active: Smallest part of the points of a layer that carries its gradient kernel.

    See `orderparam.numerics.pairs`.
    """

    Phi: Float[np.ndarray, "layer sample sample"]
    G: Float[np.ndarray, "layer sample sample"]
    ntk: Float[np.ndarray, "sample sample"]
    error: float
    active: float


def initial_kernels(
    network: Network, input_kernel: Float[np.ndarray, "sample sample"]
) -> InitialKernels:
    """Phi^l, G^l (l = 1..L) and the tangent kernel of an infinitely wide network before training.

    `Phi^l = E[phi(u) phi(v)]` with (u, v) Gaussian of covariance H^l; fully connected
    `H^{l+1} = sigma^2 Phi^l + sigma_b^2`, `G^l = sigma^2 G^{l+1} E[phi'(u) phi'(v)]`; residual
    `H^{l+1} = H^l + s^2 (sigma^2 Phi^l + sigma_b^2)` and
    `G^l = G^{l+1} (1 + s^2 sigma^2 E[phi'(u) phi'(v)])` with s = L^-a. With several outputs the
    kernels are those of each of them. Cost O(L P^2); accurate to rounding at every scale but for
    activations with kinks or steps away from 0, whose error is returned.

    Source: Bordelon & Pehlevan (2022), section 3 (lazy limit); docs/theory/kernels.md, Kernels
    at initialisation.
    """
    residual, s = isinstance(network, ResNet), network.branch_scale
    bias = network.bias_std**2
    phis, slopes, errors, active = [], [], [], []
    covariance = network.weight_std[0] ** 2 * input_kernel + bias
    for i in range(network.depth):
        phi, slope, error = pair_averages(network.activation, covariance)
        errors.append(error)
        active.append(active_share(network.activation, np.diagonal(covariance)))
        phis.append(phi)
        slopes.append(slope)
        if i + 1 < network.depth:
            branch = s**2 * (network.weight_std[i + 1] ** 2 * phi + bias)
            covariance = covariance + branch if residual else branch
    gs = [slopes[-1]]
    for std, slope in zip(network.weight_std[:0:-1], slopes[-2::-1], strict=True):
        through = (s * std) ** 2 * gs[0] * slope
        gs.insert(0, gs[0] + through if residual else through)
    Phi, G = np.stack(phis), np.stack(gs)
    tangent = tangent_kernel(network, input_kernel, Phi, G)
    return InitialKernels(Phi, G, tangent, sum(errors), min(active))


def kernels_at_start(problem: KernelEvolution) -> InitialKernels:
    """Phi^l, G^l and the tangent kernel before training of train, then test samples."""
    data, network = problem.data, problem.network
    if isinstance(network, CNN):
        rows = np.concatenate([data.x, data.x_test])
        return InitialKernels(*convolutional_kernels(network, rows))
    return initial_kernels(network, data.gram())


def stable_learning_rate(tangent: Float[np.ndarray, "train train"]) -> float:
    """`2 / lambda_max(K/P)`: above it full-batch gradient descent leaves its starting point.

    Infinite where the kernel vanishes, as for inputs that are all zero.
    """
    largest = float(np.linalg.eigvalsh(tangent)[-1])
    return 2 * len(tangent) / largest if largest > 0 else np.inf
