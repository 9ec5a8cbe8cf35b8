"""Kernel evolution in wide networks: training of fully connected networks at infinite width."""

from orderparam.kernels.activations import Activation, activation, scaled_tanh
from orderparam.kernels.batches import Batches, cosine
from orderparam.kernels.causal import Causal
from orderparam.kernels.exact_linear import ExactLinear
from orderparam.kernels.network import MLP, ResNet
from orderparam.kernels.problem import KernelEvolution

__all__ = [
    "MLP",
    "Activation",
    "Batches",
    "Causal",
    "ExactLinear",
    "KernelEvolution",
    "ResNet",
    "activation",
    "cosine",
    "scaled_tanh",
]
