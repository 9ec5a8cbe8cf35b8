"""Kernel evolution in wide networks: training of networks at infinite width."""

import orderparam.support.quiet_imports  # noqa: F401 (first: others draw random numbers)

# isort: split
from typing import Never

from orderparam.kernels.methods.alternating import Alternating
from orderparam.kernels.methods.batched import batched
from orderparam.kernels.methods.causal import Causal
from orderparam.kernels.methods.exact_linear import ExactLinear
from orderparam.kernels.methods.independence import GradientIndependence
from orderparam.kernels.methods.linear_kernels import LinearKernels
from orderparam.kernels.methods.perturbation import Perturbation
from orderparam.kernels.methods.static import StaticNTK
from orderparam.kernels.model.batches import Batches, cosine
from orderparam.kernels.model.cnn import CNN
from orderparam.kernels.model.network import MLP, ResNet
from orderparam.kernels.problem import KernelEvolution
from orderparam.numerics.activations import Activation, activation, scaled_tanh
from orderparam.support.arguments import old_name

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
    "batched",
    "cosine",
    "scaled_tanh",
]


def __getattr__(name: str) -> Never:
    raise old_name("kernels", name, {"sweep": "batched"})
