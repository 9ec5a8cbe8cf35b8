"""The networks whose training is described: architecture, activation and scale of the weights."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
from jaxtyping import Array

from orderparam.numerics.activations import Activation
from orderparam.numerics.activations import activation as as_activation
from orderparam.support.arguments import (
    at_least_zero,
    integer,
    number,
    positive,
    refuse,
    several,
    truth,
)
from orderparam.support.keywords import KnownKeywords

MOST_LAYERS = 10_000
"""Programs have a part for each layer; none of more would ever be compiled."""


class Network(KnownKeywords, eqx.Module):
    """What all architectures have in common.

    Args:
        depth: Number L of hidden layers.
        activation: φ, as a name, an `Activation` or an elementwise `jax.numpy` function.
        weight_std: Standard deviation of the entries of W^0, ..., W^{L-1}: one number, or one per
            matrix. The readout w has standard deviation 1.
        biases: Whether hidden layers have a trained bias per neuron, h = Wφ/√N + b.
        bias_std: Standard deviation of the biases at initialisation; above 0 needs `biases`.

    Raises:
        InvalidProblem: If a value is outside its range.
    """

    depth: int = eqx.field(static=True)
    activation: Activation = eqx.field(static=True)
    weight_std: tuple[float, ...] = eqx.field(static=True)
    biases: bool = eqx.field(static=True)
    bias_std: float = eqx.field(static=True)

    def __init__(
        self,
        depth: int,
        activation: Activation | str | Callable[[Array], Array] = "tanh",
        weight_std: float | Sequence[float] = 1.0,
        biases: bool = False,
        bias_std: float = 0.0,
    ):
        self.depth = integer("depth", depth, most=MOST_LAYERS)
        self.activation = as_activation(activation)
        self.weight_std = _weight_std(weight_std, self.depth)
        self.biases, self.bias_std = _biases(biases, bias_std)

    @property
    def branch_scale(self) -> float:
        """Factor in front of what a layer after the first adds: 1 without residual branches."""
        return 1.0

    @property
    def branch_rate(self) -> float:
        """Factor of the learning rate of what stands behind `branch_scale`."""
        return 1.0

    @property
    def positions(self) -> int:
        """Number of positions at which each channel has a value: 1 without convolution."""
        return 1

    @property
    def offsets(self) -> int:
        """Number of matrices that lead from one layer to the next: 1 without convolution."""
        return 1

    def check_inputs(self, dimension: int) -> None:
        """Refuse inputs that the network cannot read; vectors of any dimension by default."""

    def config(self) -> dict[str, Any]:
        """The network as plain JSON values; what has its usual value is left out."""
        extra = {"biases": True, "bias_std": self.bias_std} if self.biases else {}
        return {
            "kind": type(self).__name__,
            "depth": self.depth,
            "activation": self.activation.config(),
            "weight_std": list(self.weight_std),
            **extra,
        }


class MLP(Network):
    """A fully connected network of any width.

    h^1 = W^0 x/√D,  h^{l+1} = W^l φ(h^l)/√N,  f = w·φ(h^L)/(γ0 N)

    Arguments as in `Network`.

    Source: Bordelon & Pehlevan (2022), equation 1; docs/theory/kernels.md, Network and scaling.
    """

    def __init__(
        self,
        depth: int,
        activation: Activation | str | Callable[[Array], Array] = "tanh",
        weight_std: float | Sequence[float] = 1.0,
        biases: bool = False,
        bias_std: float = 0.0,
    ):
        super().__init__(depth, activation, weight_std, biases, bias_std)


class ResNet(Network):
    """A fully connected network with residual branches.

    h^1 = W^0 x/√D,  h^{l+1} = h^l + L^{-a} (W^l φ(h^l)/√N + b^l),  f = w·φ(h^L)/(γ0 N)

    Weights inside the branches learn at L^{2a-1} times the learning rate, so that depth changes
    neither the size of the updates at a = 1/2 nor at a = 1.

    Args:
        depth: Number L of hidden layers, the first included.
        activation: φ, as in `Network`.
        weight_std: As in `Network`.
        biases: As in `Network`.
        bias_std: As in `Network`.
        branch_exponent: a, 1/2 or 1.

    Raises:
        InvalidProblem: If a value is outside its range.

    Source: docs/theory/kernels.md, Residual networks; depth scaling as in Bordelon et al. (2024).
    """

    branch_exponent: float = eqx.field(static=True)

    def __init__(
        self,
        depth: int,
        activation: Activation | str | Callable[[Array], Array] = "tanh",
        weight_std: float | Sequence[float] = 1.0,
        biases: bool = False,
        bias_std: float = 0.0,
        branch_exponent: float = 0.5,
    ):
        super().__init__(depth, activation, weight_std, biases, bias_std)
        self.branch_exponent = number(branch_exponent)
        if self.branch_exponent not in (0.5, 1.0):
            allowed = "0.5 (branches of size L^-1/2) or 1 (L^-1)"
            raise refuse("branch_exponent", branch_exponent, allowed)

    @property
    def branch_scale(self) -> float:
        """L^{-a}."""
        return self.depth**-self.branch_exponent

    @property
    def branch_rate(self) -> float:
        """L^{2a-1}."""
        return self.depth ** (2 * self.branch_exponent - 1)

    def config(self) -> dict[str, Any]:
        """The network as plain JSON values."""
        return {**super().config(), "branch_exponent": self.branch_exponent}


def _weight_std(value: Any, depth: int) -> tuple[float, ...]:
    entries = several(value)
    if entries is None:
        return (positive("weight_std", value),) * depth
    if len(entries) != depth:
        allowed = f"a positive number, or {depth} of them, for W^0 to W^{depth - 1}"
        raise refuse("weight_std", value, allowed, "give as many as layers")
    return tuple(positive("weight_std", entry) for entry in entries)


def _biases(biases: Any, std: Any) -> tuple[bool, float]:
    wanted, spread = truth("biases", biases), at_least_zero("bias_std", std)
    if spread > 0 and not wanted:
        raise refuse("bias_std", std, "0 for a network without biases", "or give biases=True")
    return wanted, spread
