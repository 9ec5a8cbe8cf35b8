"""Kernels at initialisation by quadrature, and the largest stable learning rate."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from orderparam.kernels.model.cnn import CNN
from orderparam.kernels.model.network import Network, ResNet
from orderparam.kernels.problem import KernelEvolution
from orderparam.kernels.theory.initial_convolution import convolutional_kernels
from orderparam.kernels.theory.tangent import tangent_kernel
from orderparam.numerics.activations import Activation

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

    Source: Bordelon & Pehlevan (2022), section 3 (lazy limit); docs/theory/kernels.md, Kernels
    at initialisation.
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
    scale = np.sqrt(np.diagonal(covariance))
    norm = np.where(scale > 0, scale, 1.0)
    rho = np.clip(covariance / np.outer(norm, norm), -1, 1)
    phi, slope = _pair_averages(activation, scale, rho, nodes, weights / weights.sum())
    return np.asarray(phi), np.asarray(slope)


# The activation, not a method of it, is the key of the compiled program: bound methods are new
# objects at every access, and each would be compiled anew.
@partial(jax.jit, static_argnums=0)
def _pair_averages(
    activation: Activation, scale: Array, rho: Array, nodes: Array, weights: Array
) -> tuple[Float[Array, "sample sample"], Float[Array, "sample sample"]]:
    """Both averages by Gauss-Hermite quadrature in two directions, one sample u at a time."""

    def row(u: tuple[Array, Array]) -> tuple[Array, Array]:
        # v = s_v (rho n_1 + sqrt(1 - rho^2) n_2) for u = s_u n_1.
        size, r = u[0], u[1][:, None, None]
        v = scale[:, None, None] * (r * nodes[:, None] + jnp.sqrt(1 - r**2) * nodes)
        first = [f(size * nodes) for f in (activation, activation.derivative)]
        second = [f(v) for f in (activation, activation.derivative)]
        phi, slope = (
            jnp.einsum("a,jab,b->j", weights * one, two, weights)
            for one, two in zip(first, second, strict=True)
        )
        return phi, slope

    return lax.map(row, (scale, rho))
