"""Convolutional networks: their description, and which positions a filter looks at."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from orderparam.engine.taps import Taps
from orderparam.errors import InvalidProblem
from orderparam.kernels.model.network import Network
from orderparam.numerics.activations import Activation
from orderparam.support.arguments import integer, integers, one_of, refuse

READOUTS = ("pooled", "flattened")
PADDINGS = ("circular", "zero")


class CNN(Network):
    """A convolutional network with N channels in every hidden layer; stride 1, one or two axes.

    h^1_a = sum_k W^0_k x_{a+k} / sqrt(C K),   h^{l+1}_a = sum_k W^l_k phi(h^l_{a+k}) / sqrt(N K)

    at each of A positions, K = kernel_size^d the offsets k of a filter, C the channels of the
    input. The readout is `"pooled"`, f = w . mean_a phi(h^L_a) / (gamma0 N), or `"flattened"`,
    f = sum_a w_a . phi(h^L_a) / (gamma0 N sqrt(A)).

    Args:
        depth: Number L of hidden (convolutional) layers.
        activation: phi, as in `Network`.
        shape: Length of a sequence, or height and width of an image.
        channels: C. Inputs hold channel after channel, each row after row.
        kernel_size: Length of a filter along each axis, at most the shortest axis.
        readout: `"pooled"` or `"flattened"`.
        padding: `"circular"`, or `"zero"` outside of the image.
        weight_std: As in `Network`.
        biases: One bias per channel, as in `Network`.
        bias_std: As in `Network`.

    Raises:
        InvalidProblem: If a value is outside its range.

    Source: Bordelon & Pehlevan (2022); docs/theory/kernels.md, Convolutional networks.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    channels: int = eqx.field(static=True)
    kernel_size: int = eqx.field(static=True)
    readout: str = eqx.field(static=True)
    padding: str = eqx.field(static=True)

    def __init__(
        self,
        depth: int,
        activation: Activation | str | Callable[[Array], Array] = "tanh",
        *,
        shape: int | Sequence[int],
        channels: int = 1,
        kernel_size: int = 3,
        readout: str = "pooled",
        padding: str = "circular",
        weight_std: float | Sequence[float] = 1.0,
        biases: bool = False,
        bias_std: float = 0.0,
    ):
        super().__init__(depth, activation, weight_std, biases, bias_std)
        self.shape = _shape(shape)
        self.channels = integer("channels", channels)
        self.kernel_size = integer("kernel_size", kernel_size)
        if self.kernel_size > min(self.shape):
            raise InvalidProblem(
                f"Argument `kernel_size` of a CNN is {self.kernel_size}, larger than its inputs of "
                f"`shape` {self.shape}; choose at most {min(self.shape)}."
            )
        self.readout = one_of("readout", readout, READOUTS)
        self.padding = one_of("padding", padding, PADDINGS)

    @property
    def positions(self) -> int:
        """A, the number of positions of every layer."""
        return math.prod(self.shape)

    @property
    def offsets(self) -> int:
        """K, the number of entries of a filter."""
        return self.kernel_size ** len(self.shape)

    def taps(self) -> Taps:
        """For each offset of a filter, the position it looks at from each position; -1: none."""
        first, size = -((self.kernel_size - 1) // 2), self.kernel_size
        places = np.indices(self.shape).reshape(len(self.shape), -1)
        length = np.asarray(self.shape)[:, None]
        table = []
        for offset in itertools.product(range(first, first + size), repeat=len(self.shape)):
            seen = places + np.asarray(offset)[:, None]
            flat = np.ravel_multi_index(tuple(seen % length), self.shape)
            if self.padding == "zero":
                flat = np.where(np.all((seen >= 0) & (seen < length), axis=0), flat, -1)
            table.append(tuple(np.ravel(flat).tolist()))
        return tuple(table)

    def patches(
        self, x: Float[np.ndarray, "sample dimension"]
    ) -> Float[np.ndarray, "sample position entry"]:
        """What a filter sees of each input at each position, over sqrt(C K)."""
        images = x.reshape(len(x), self.channels, self.positions)
        images = np.pad(images, ((0, 0), (0, 0), (0, 1)))  # position -1 is empty
        seen = images[:, :, np.asarray(self.taps())]
        entries = self.channels * self.offsets
        rows = np.moveaxis(seen, 3, 1).reshape(len(x), self.positions, entries)
        return rows / math.sqrt(entries)

    def check_inputs(self, dimension: int) -> None:
        """Refuse inputs that are no images of the shape.

        Raises:
            InvalidProblem: If the dimension is not channels times positions.
        """
        if dimension != self.channels * self.positions:
            sizes = " x ".join(str(n) for n in (self.channels, *self.shape))
            raise InvalidProblem(
                f"The CNN reads inputs of {sizes} (channels x shape) = "
                f"{self.channels * self.positions} numbers, but the data have dimension "
                f"{dimension}; choose `shape` and `channels` to match."
            )

    def config(self) -> dict[str, Any]:
        """The network as plain JSON values."""
        extra = {
            "shape": list(self.shape),
            "channels": self.channels,
            "kernel_size": self.kernel_size,
            "readout": self.readout,
            "padding": self.padding,
        }
        return {**super().config(), **extra}


def _shape(value: Any) -> tuple[int, ...]:
    lengths = integers("shape", value)
    if len(lengths) > 2:
        raise refuse("shape", value, "a length, or a height and a width", "give one or two")
    return tuple(lengths)
