"""Fully connected and residual networks in engine language.

Fully connected (every hidden layer is a space of its own):

    h^1 = V A^T + b^1,   h^{l+1} = W^l phi(h^l) + b^{l+1},   z^l = W^{lT} g^{l+1},   g^l = phi' z^l

Residual (all layers share the neurons of one stream; s = L^-a):

    h^{l+1} = h^l + s (W^l phi(h^l) + b^{l+1}),   z^l = s W^{lT} g^{l+1},   g^l = g^{l+1} + phi' z^l

with z^L = w and g^L = phi'(h^L) w. The input weights W^0 enter as vectors V, one per direction of
the inputs, x_mu / sqrt(D) = sum_r A_{mu r} e_r. Rows of backward fields are ordered by sample, then
output.

Source: Bordelon & Pehlevan (2022), equations 1-3; docs/theory/kernels.md, Single-site equations,
One step of training, Residual networks.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from orderparam.engine import MatrixSpec, State
from orderparam.kernels.model.network import ResNet
from orderparam.kernels.theory.layers import Layers, Rule, Tape
from orderparam.kernels.theory.tangent import tangent_kernel


class DenseLayers(Layers):
    """Forward and backward passes of fully connected and residual networks."""

    def inputs(self, x: Float[np.ndarray, "sample dimension"]) -> Float[np.ndarray, "sample rank"]:
        """x/sqrt(D)."""
        return x / np.sqrt(x.shape[1])

    def space(self, index: int) -> str:
        """Name of the space of hidden layer `index` (1 to L)."""
        return "stream" if isinstance(self.network, ResNet) else super().space(index)

    def weight(self, index: int, response: bool) -> MatrixSpec:
        """The Gaussian matrix W^index."""
        variance = self.network.weight_std[index] ** 2
        return MatrixSpec(
            self.space(index + 1), self.space(index), variance, response=response,
            momentum=self.heavy,
        )  # fmt: skip

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
                momentum=rule.memory,
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

    def kernels(
        self, state: State, inputs: Float[Array, "sample rank"], tape: Tape, first: int
    ) -> dict[str, Array]:
        """Kernels from sample `first` on."""
        names = [self.space(i) for i in range(1, self.network.depth + 1)]
        x, rows = inputs[first:], first * self.outputs
        Phi = jnp.stack(
            [state.inner(n, v[first:], v[first:]) for n, v in zip(names, tape.phi, strict=True)]
        )
        G = jnp.stack(
            [state.inner(n, v[rows:], v[rows:]) for n, v in zip(names, tape.g, strict=True)]
        )
        return {"Phi": Phi, "G": G, "ntk": tangent_kernel(self.network, x @ x.T, Phi, G)}

    def fields(self, tape: Tape, first: int) -> dict[str, Float[Array, "layer row S"]]:
        """Forward fields by sample, backward fields by sample and output."""
        rows = first * self.outputs
        forward = {"h": tape.h, "phi": tape.phi}
        backward = {"z": tape.z, "g": tape.g}
        return {n: jnp.stack(v)[:, first:] for n, v in forward.items()} | {
            n: jnp.stack(v)[:, rows:] for n, v in backward.items()
        }

    def _pairs(self, signal: Float[Array, "sample output"]) -> Array:
        """Coefficients of the products g_{mu c} phi_nu^T: diagonal in the samples."""
        if self.outputs == 1:
            return signal[:, 0]
        eye = jnp.eye(signal.shape[0])
        return (signal[:, :, None] * eye[:, None, :]).reshape(-1, signal.shape[0])
