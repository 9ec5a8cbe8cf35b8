"""The network whose training is described: depth, activation and scale of its weights."""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
from jaxtyping import Array

from orderparam.errors import InvalidProblem
from orderparam.kernels.activations import Activation
from orderparam.kernels.activations import activation as as_activation


class MLP(eqx.Module):
    """A fully connected network of any width.

    h^1 = W^0 x/√D,  h^{l+1} = W^l φ(h^l)/√N,  f = w·φ(h^L)/(γ0 N)

    Args:
        depth: Number L of hidden layers.
        activation: φ, as a name, an `Activation` or an elementwise `jax.numpy` function.
        weight_std: Standard deviation of the entries of W^0, ..., W^{L-1}: one number, or one per
            matrix. The readout w has standard deviation 1.

    Raises:
        InvalidProblem: If a value is outside its range.

    Source: Bordelon & Pehlevan (2022), equation 1.
    """

    depth: int = eqx.field(static=True)
    activation: Activation = eqx.field(static=True)
    weight_std: tuple[float, ...] = eqx.field(static=True)

    def __init__(
        self,
        depth: int,
        activation: Activation | str | Callable[[Array], Array] = "tanh",
        weight_std: float | Sequence[float] = 1.0,
    ):
        self.depth = _depth(depth)
        self.activation = as_activation(activation)
        self.weight_std = _weight_std(weight_std, self.depth)

    def config(self) -> dict[str, Any]:
        """The network as plain JSON values."""
        return {
            "kind": "MLP",
            "depth": self.depth,
            "activation": self.activation.config(),
            "weight_std": list(self.weight_std),
        }


def _depth(value: Any) -> int:
    try:
        depth = operator.index(value)
    except TypeError:
        depth = 0
    if depth < 1 or isinstance(value, bool):
        raise InvalidProblem(
            f"The depth of a network is {value!r}; it must be an integer of at least 1, the "
            "number of hidden layers."
        )
    return depth


def _weight_std(value: Any, depth: int) -> tuple[float, ...]:
    try:
        entries = tuple(float(v) for v in value) if hasattr(value, "__len__") else (float(value),)
    except (TypeError, ValueError):
        entries = ()
    if not hasattr(value, "__len__"):
        entries *= depth
    if len(entries) != depth or not all(math.isfinite(v) and v > 0 for v in entries):
        raise InvalidProblem(
            f"The weight_std of a network of depth {depth} is {value!r}; give one positive number, "
            f"or {depth} of them, for W^0 to W^{depth - 1}."
        )
    return entries
