"""Kernel evolution in wide networks: training of networks at infinite width."""

from orderparam.kernels.activations import Activation, activation, scaled_tanh
from orderparam.kernels.alternating import Alternating
from orderparam.kernels.batches import Batches, cosine
from orderparam.kernels.causal import Causal
from orderparam.kernels.cnn import CNN
from orderparam.kernels.exact_linear import ExactLinear
from orderparam.kernels.independence import GradientIndependence
from orderparam.kernels.linear_kernels import LinearKernels
from orderparam.kernels.network import MLP, ResNet
from orderparam.kernels.perturbation import Perturbation
from orderparam.kernels.problem import KernelEvolution
from orderparam.kernels.static import StaticNTK
from orderparam.kernels.sweep import sweep

__all__ = [
    "CNN",
    "MLP",
    "Activation",
    "Alternating",
    "Batches",
    "Causal",
    "ExactLinear",
    "GradientIndependence",
    "KernelEvolution",
    "LinearKernels",
    "Perturbation",
    "ResNet",
    "StaticNTK",
    "activation",
    "cosine",
    "scaled_tanh",
    "sweep",
]
