"""What the layers of all architectures have in common, in engine language.

One step of training is forward, backward and update; each architecture writes these down with the
verbs of `State`: `dense.py` (fully connected and residual) and `convolution.py`.
"""

import abc
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from orderparam.engine import Layout, MatrixSpec, State
from orderparam.kernels.model.network import Network


class Tape(NamedTuple):
    """What one pass through the network left, one entry per hidden layer.

    A row is a sample (and position); of backward fields a sample and output (and position), the
    last of these fastest.
    """

    h: list[Float[Array, "row S"]]
    phi: list[Float[Array, "row S"]]
    z: list[Float[Array, "field S"]]
    g: list[Float[Array, "field S"]]


class Rule(eqx.Module):
    """How a step turns gradients into new weights: v <- beta v + G, x <- (1 - decay) x + step v."""

    step: Float[Array, ""]
    decay: Float[Array, ""]
    momentum: Float[Array, ""]
    heavy: bool = eqx.field(static=True)

    @property
    def memory(self) -> Array | float:
        """beta, or 0 for matrices that keep no velocity."""
        return self.momentum if self.heavy else 0.0

    def train(self, state: State, name: str, gradient: Array, rate: float = 1.0) -> State:
        """One step of vectors that the state keeps."""
        velocity = gradient
        if self.heavy:
            velocity = self.momentum * state.vectors[f"{name} velocity"] + gradient
            state = state.keep(f"{name} velocity", state.homes[name], velocity)
        new = (1 - self.decay) * state.vectors[name] + self.step * rate * velocity
        return state.keep(name, state.homes[name], new)


class Layers(eqx.Module):
    """Forward and backward passes of a network.

    Attributes:
        network: Its description.
        outputs: Number C of outputs.
        heavy: Whether there is momentum, which needs a velocity for every parameter.
    """

    network: Network = eqx.field(static=True)
    outputs: int = eqx.field(static=True)
    heavy: bool = eqx.field(static=True)

    @abc.abstractmethod
    def inputs(
        self, x: Float[np.ndarray, "sample dimension"]
    ) -> Float[np.ndarray, "sample *position rank"]:
        """What the first weights are applied to, scaled so that they have variance 1."""

    @abc.abstractmethod
    def weight(self, index: int, response: bool) -> MatrixSpec:
        """The Gaussian matrix W^index between hidden layers `index` and `index + 1`."""

    @property
    def readouts(self) -> int:
        """Number of readout vectors w."""
        return self.outputs

    def space(self, index: int) -> str:
        """Name of the space of hidden layer `index` (1 to L)."""
        return f"layer{index}"

    def layout(self, response: bool = True) -> Layout:
        """Spaces and matrices of the network."""
        L = self.network.depth
        matrices = {f"weight{i}": self.weight(i, response) for i in range(1, L)}
        return Layout(tuple(dict.fromkeys(self.space(i) for i in range(1, L + 1))), matrices)

    def start(self, state: State, rank: int) -> State:
        """Draw input weights V, biases and readout w."""
        network, first = self.network, self.space(1)
        state, n = state.normals(first, rank)
        state = state.keep("V", first, network.weight_std[0] * n)
        for i in range(1, network.depth + 1) if network.biases else ():
            bias = 0.0 * n[:1]
            if network.bias_std > 0:
                state, drawn = state.normals(self.space(i), 1)
                bias = network.bias_std * drawn
            state = state.keep(f"bias{i}", self.space(i), bias)
        last = self.space(network.depth)
        state, w = state.normals(last, self.readouts)
        state = state.keep("w", last, w)
        if self.heavy:
            for name, home in list(state.homes.items()):
                state = state.keep(f"{name} velocity", home, 0.0 * state.vectors[name])
        return state

    @abc.abstractmethod
    def forward(
        self, state: State, inputs: Float[Array, "sample *position rank"]
    ) -> tuple[State, list[Array], list[Array]]:
        """Preactivations and activations of every layer."""

    @abc.abstractmethod
    def readout(self, state: State, phi: list[Array]) -> Float[Array, "sample output"]:
        """gamma0 f for every sample and output."""

    @abc.abstractmethod
    def backward(self, state: State, h: list[Array], phi: list[Array]) -> tuple[State, Tape]:
        """Backward fields of every layer, sample and output."""

    @abc.abstractmethod
    def update(
        self,
        state: State,
        inputs: Float[Array, "sample *position rank"],
        tape: Tape,
        signal: Float[Array, "sample output"],
        rule: Rule,
    ) -> State:
        """Train every parameter along its gradient, `signal` the weight of each sample's output."""

    @abc.abstractmethod
    def kernels(
        self, state: State, inputs: Float[Array, "sample *position rank"], tape: Tape, first: int
    ) -> dict[str, Array]:
        """`Phi` over samples, `G` and `ntk` over samples and outputs, from sample `first` on."""

    def carrying(self, state: State, tape: Tape) -> dict[str, Float[Array, " layer"]]:
        """Smallest part of the points that carry an average of features or gradients."""
        names = [self.space(i) for i in range(1, self.network.depth + 1)]

        def least(fields: list[Array]) -> Float[Array, " layer"]:
            pairs = zip(names, fields, strict=True)
            return jnp.stack([state.carrying(name, x).min() for name, x in pairs])

        return {"Phi_carrying": least(tape.phi), "G_carrying": least(tape.g)}

    @abc.abstractmethod
    def fields(self, tape: Tape, first: int) -> dict[str, Float[Array, "layer row S"]]:
        """Single-site fields of the samples from `first` on."""

    def _bias(self, state: State, index: int) -> Array | float:
        return state.vectors[f"bias{index}"] if self.network.biases else 0.0
