"""Kernel evolution in wide networks: training of networks at infinite width."""

import orderparam.support.quiet_imports  # noqa: F401 (first: others draw random numbers)

# isort: split
from typing import Never

# What other families build on, by the redundant names; users have no need of it.
from orderparam.kernels.experiment.networks import draw as draw_weights  # noqa: F401
from orderparam.kernels.experiment.recorder import followed as followed
from orderparam.kernels.experiment.simulate import simulate_networks as simulate_networks
from orderparam.kernels.glossary import GLOSSARY as KERNEL_GLOSSARY  # noqa: F401
from orderparam.kernels.glossary import coordinates as kernel_coordinates  # noqa: F401
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
from orderparam.kernels.model.losses import loss_named as loss_named
from orderparam.kernels.model.network import MLP, ResNet
from orderparam.kernels.model.network import Network as Network
from orderparam.kernels.problem import KernelEvolution
from orderparam.kernels.theory.physics import checked_loss as checked_loss
from orderparam.kernels.theory.program import KernelProgram as KernelProgram
from orderparam.kernels.theory.program import layout as kernel_layout  # noqa: F401
from orderparam.kernels.theory.tangent import tangent_kernel as tangent_kernel
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
