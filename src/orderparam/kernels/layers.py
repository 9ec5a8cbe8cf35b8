"""The layers of a network in engine language: forward, backward and update of one step.

Fully connected (every hidden layer is a space of its own):

    h^1 = V A^T + b^1,   h^{l+1} = W^l phi(h^l) + b^{l+1},   z^l = W^{lT} g^{l+1},   g^l = phi' z^l

Residual (all layers share the neurons of one stream; s = L^-a):

    h^{l+1} = h^l + s (W^l phi(h^l) + b^{l+1}),   z^l = s W^{lT} g^{l+1},   g^l = g^{l+1} + phi' z^l

with z^L = w and g^L = phi'(h^L) w. The input weights W^0 enter as vectors V, one per direction of
the inputs, x_mu / sqrt(D) = sum_r A_{mu r} e_r. Rows of backward fields are ordered by sample, then
output.

Source: Bordelon & Pehlevan (2022), equations 1-3; kernels.md sections 1-3 and 5.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from orderparam.engine import Layout, MatrixSpec, State
from orderparam.kernels.network import Network, ResNet


class Tape(NamedTuple):
    """What one pass through the network left, one entry per hidden layer."""

    h: list[Float[Array, "sample S"]]
    phi: list[Float[Array, "sample S"]]
    z: list[Float[Array, "field S"]]
    g: list[Float[Array, "field S"]]


class Rule(eqx.Module):
    """How a step turns gradients into new weights: v <- beta v + G, x <- (1 - decay) x + step v."""

    step: Float[Array, ""]
    decay: Float[Array, ""]
    momentum: Float[Array, ""]
    heavy: bool = eqx.field(static=True)

    def train(self, state: State, name: str, gradient: Array, rate: float = 1.0) -> State:
        """One step of vectors that the state keeps."""
        velocity = gradient
        if self.heavy:
            velocity = self.momentum * state.vectors[f"{name} velocity"] + gradient
            state = state.keep(f"{name} velocity", state.homes[name], velocity)
        new = (1 - self.decay) * state.vectors[name] + self.step * rate * velocity
        return state.keep(name, state.homes[name], new)


class Layers(eqx.Module):
    """Forward and backward passes of fully connected and residual networks.

    Attributes:
        network: Its description.
        outputs: Number C of outputs.
        heavy: Whether there is momentum, which needs a velocity for every parameter.
    """

    network: Network = eqx.field(static=True)
    outputs: int = eqx.field(static=True)
    heavy: bool = eqx.field(static=True)

    def space(self, index: int) -> str:
        """Name of the space of hidden layer `index` (1 to L)."""
        return "stream" if isinstance(self.network, ResNet) else f"layer{index}"

    def layout(self, response: bool = True) -> Layout:
        """Spaces and matrices of the network."""
        matrices = {
            f"weight{i}": MatrixSpec(
                self.space(i + 1), self.space(i), self.network.weight_std[i] ** 2, response=response
            )
            for i in range(1, self.network.depth)
        }
        spaces = dict.fromkeys(self.space(i) for i in range(1, self.network.depth + 1))
        return Layout(tuple(spaces), matrices)

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
        state, w = state.normals(last, self.outputs)
        state = state.keep("w", last, w)
        if self.heavy:
            for name, home in list(state.homes.items()):
                state = state.keep(f"{name} velocity", home, 0.0 * state.vectors[name])
        return state

    def forward(
        self, state: State, inputs: Float[Array, "sample rank"]
    ) -> tuple[State, list[Array], list[Array]]:
        """Preactivations and activations of every layer."""
        network, s = self.network, self.network.branch_scale
        h, phi = [inputs @ state.vectors["V"] + self._bias(state, 1)], []
        for i in range(1, network.depth + 1):
            phi.append(network.activation(h[-1]))
            if i < network.depth:
                state, image = state.mv(f"weight{i}", phi[-1])
                branch = s * (image + self._bias(state, i + 1))
                h.append(h[-1] + branch if isinstance(network, ResNet) else branch)
        return state, h, phi

    def readout(self, state: State, phi: list[Array]) -> Float[Array, "sample output"]:
        """<w, phi^L> for every sample and output, gamma0 f."""
        return state.inner(self.space(self.network.depth), phi[-1], state.vectors["w"])

    def backward(self, state: State, h: list[Array], phi: list[Array]) -> tuple[State, Tape]:
        """Backward fields of every layer, sample and output."""
        network, s = self.network, self.network.branch_scale

        def slope(x: Array) -> Array:
            return jnp.repeat(network.activation.derivative(x), self.outputs, axis=0)

        z = [jnp.tile(state.vectors["w"], (h[-1].shape[0], 1))]
        g = [slope(h[-1]) * z[0]]
        for i in range(network.depth - 1, 0, -1):
            state, image = state.rmv(f"weight{i}", g[0])
            z.insert(0, s * image)
            through = slope(h[i - 1]) * z[0]
            g.insert(0, g[0] + through if isinstance(network, ResNet) else through)
        return state, Tape(h, phi, z, g)

    def update(
        self,
        state: State,
        inputs: Float[Array, "sample rank"],
        tape: Tape,
        signal: Float[Array, "sample output"],
        rule: Rule,
    ) -> State:
        """Train every parameter along its gradient, `signal` the weight of each sample's output."""
        network = self.network
        s, rate = network.branch_scale, network.branch_rate
        pairs = self._pairs(signal)
        for i in range(1, network.depth):
            state = state.update(
                f"weight{i}", s * pairs, step=rule.step * rate, decay=rule.decay,
                momentum=rule.momentum,
            )  # fmt: skip
        total = [
            jnp.einsum("ac,acn->an", signal, g.reshape(*signal.shape, -1))
            for g in (tape.g if network.biases else tape.g[:1])
        ]
        for i, gradient in enumerate(total, start=1) if network.biases else ():
            inside = (s, rate) if i > 1 else (1.0, 1.0)
            gradient = inside[0] * gradient.sum(axis=0, keepdims=True)
            state = rule.train(state, f"bias{i}", gradient, inside[1])
        state = rule.train(state, "V", inputs.T @ total[0])
        return rule.train(state, "w", signal.T @ tape.phi[-1])

    def kernels(self, state: State, tape: Tape, shown: slice) -> tuple[Array, Array]:
        """Phi^l over samples and G^l over samples and outputs, of the samples `shown`."""
        depth, rows = self.network.depth, slice(None)
        if shown.start is not None:
            rows = slice(shown.start * self.outputs, None)
        names = [self.space(i) for i in range(1, depth + 1)]
        Phi = [state.inner(n, x[shown], x[shown]) for n, x in zip(names, tape.phi, strict=True)]
        G = [state.inner(n, x[rows], x[rows]) for n, x in zip(names, tape.g, strict=True)]
        return jnp.stack(Phi), jnp.stack(G)

    def _bias(self, state: State, index: int) -> Array | float:
        return state.vectors[f"bias{index}"] if self.network.biases else 0.0

    def _pairs(self, signal: Float[Array, "sample output"]) -> Array:
        """Coefficients of the products g_{mu c} phi_nu^T: diagonal in the samples."""
        if self.outputs == 1:
            return signal[:, 0]
        eye = jnp.eye(signal.shape[0])
        return (signal[:, :, None] * eye[:, None, :]).reshape(-1, signal.shape[0])
