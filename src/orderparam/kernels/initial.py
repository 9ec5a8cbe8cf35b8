"""Kernels at initialisation by quadrature, and the largest stable learning rate."""

import jax
import numpy as np
from jaxtyping import Float

from orderparam.kernels.activations import Activation
from orderparam.kernels.cnn import CNN
from orderparam.kernels.initial_convolution import convolutional_kernels
from orderparam.kernels.network import Network, ResNet
from orderparam.kernels.problem import KernelEvolution
from orderparam.kernels.tangent import tangent_kernel

NODES = 40
"""Gauss-Hermite nodes in each of two directions; exact to rounding for smooth activations."""


def initial_kernels(
    network: Network, input_kernel: Float[np.ndarray, "sample sample"]
) -> tuple[
    Float[np.ndarray, "layer sample sample"],
    Float[np.ndarray, "layer sample sample"],
    Float[np.ndarray, "sample sample"],
]:
    """Phi^l, G^l (l = 1..L) and the tangent kernel of an infinitely wide network before training.

    `Phi^l = E[phi(u) phi(v)]` with (u, v) Gaussian of covariance H^l; fully connected
    `H^{l+1} = sigma^2 Phi^l + sigma_b^2`, `G^l = sigma^2 G^{l+1} E[phi'(u) phi'(v)]`; residual
    `H^{l+1} = H^l + s^2 (sigma^2 Phi^l + sigma_b^2)` and
    `G^l = G^{l+1} (1 + s^2 sigma^2 E[phi'(u) phi'(v)])` with s = L^-a. With several outputs the
    kernels are those of each of them. Cost O(L P^2); smooth activations are accurate to rounding,
    kinked ones to about 1 %.

    Source: Bordelon & Pehlevan (2022), section 3 (lazy limit).
    """
    residual, s = isinstance(network, ResNet), network.branch_scale
    bias = network.bias_std**2
    phis, slopes = [], []
    covariance = network.weight_std[0] ** 2 * input_kernel + bias
    for i in range(network.depth):
        phi, slope = _gaussian_averages(network.activation, covariance)
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
    return Phi, G, tangent_kernel(network, input_kernel, Phi, G)


def kernels_at_start(
    problem: KernelEvolution,
) -> tuple[
    Float[np.ndarray, "layer sample sample"],
    Float[np.ndarray, "layer sample sample"],
    Float[np.ndarray, "sample sample"],
]:
    """Phi^l, G^l and the tangent kernel before training of train, then test samples."""
    data, network = problem.data, problem.network
    if isinstance(network, CNN):
        return convolutional_kernels(network, np.concatenate([data.x, data.x_test]))
    return initial_kernels(network, data.gram())


def stable_learning_rate(tangent: Float[np.ndarray, "train train"]) -> float:
    """`2 / lambda_max(K/P)`: above it full-batch gradient descent leaves its starting point."""
    return 2 * len(tangent) / float(np.linalg.eigvalsh(tangent)[-1])


def _gaussian_averages(
    activation: Activation, covariance: Float[np.ndarray, "sample sample"]
) -> tuple[Float[np.ndarray, "sample sample"], Float[np.ndarray, "sample sample"]]:
    """`E[phi(u) phi(v)]` and `E[phi'(u) phi'(v)]` for every pair of samples."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    weights = weights / weights.sum()
    scale = np.sqrt(np.diagonal(covariance))
    norm = np.where(scale > 0, scale, 1.0)
    # v = s_v (rho n_1 + sqrt(1 - rho^2) n_2) for u = s_u n_1.
    rho = np.clip(covariance / np.outer(norm, norm), -1, 1)
    values = {}
    for name, raw in (("phi", activation), ("slope", activation.derivative)):
        function, rows = jax.jit(raw), []
        for i in range(len(scale)):
            mixed = np.multiply.outer(rho[i], nodes)[:, :, None]
            mixed = mixed + np.multiply.outer(np.sqrt(1 - rho[i] ** 2), nodes)[:, None, :]
            second = np.asarray(function(scale[:, None, None] * mixed))
            first = np.asarray(function(scale[i] * nodes))
            rows.append(np.einsum("a,jab,b->j", weights * first, second, weights))
        values[name] = np.stack(rows)
    return values["phi"], values["slope"]
