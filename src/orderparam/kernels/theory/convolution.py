"""Convolutional networks in engine language.

    h^1_a = V A_a^T + b^1,   h^{l+1}_a = sum_k W^l_k phi(h^l_{a+k}) + b^{l+1}
    z^l_a = sum_k W_k^{lT} g^{l+1}_{a-k},   g^l_a = phi'(h^l_a) z^l_a

Each offset k of a filter is a Gaussian matrix of its own; those of one layer are the blocks of one
engine matrix with variance sigma^2/K, K the number of offsets. The spaces are those of channels:
every sample and position is a vector in them. Patches A_a of the inputs, scaled by 1/sqrt(C K),
meet one vector V per entry. Pooled readout: z^L_a = w/A; flattened: z^L_a = w_a/sqrt(A).

Source: Bordelon & Pehlevan (2022); docs/theory/kernels.md, Convolutional networks.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from orderparam.engine import MatrixSpec, State
from orderparam.kernels.model.cnn import CNN
from orderparam.kernels.theory.layers import Layers, Rule, Tape

PatchKernel = Callable[[Array], Float[Array, "position sample position_"]]
"""From one sample to the kernel of what filters see there and in all samples."""


class ConvolutionalLayers(Layers):
    """Forward and backward passes of convolutional networks.

    Rows of forward fields are ordered by sample, position; those of backward fields by sample,
    output, position.
    """

    @property
    def cnn(self) -> CNN:
        """The network."""
        assert isinstance(self.network, CNN)
        return self.network

    @property
    def pooled(self) -> bool:
        """Whether the readout averages over positions."""
        return self.cnn.readout == "pooled"

    @property
    def readouts(self) -> int:
        """Number of readout vectors w: one per output, and per position if not pooled."""
        return self.outputs * (1 if self.pooled else self.cnn.positions)

    def inputs(
        self, x: Float[np.ndarray, "sample dimension"]
    ) -> Float[np.ndarray, "sample position rank"]:
        """Patches of the inputs."""
        return self.cnn.patches(x)

    def weight(self, index: int, response: bool) -> MatrixSpec:
        """The offsets of the filters W^index, as blocks of one matrix."""
        variance = self.cnn.weight_std[index] ** 2 / self.cnn.offsets
        row, column = self.space(index + 1), self.space(index)
        taps = self.cnn.taps()
        return MatrixSpec(row, column, variance, response=response, taps=taps, momentum=self.heavy)

    def forward(
        self, state: State, inputs: Float[Array, "sample position rank"]
    ) -> tuple[State, list[Array], list[Array]]:
        """Preactivations and activations of every layer."""
        image = inputs.reshape(-1, inputs.shape[-1]) @ state.vectors["V"]
        h, phi = [image + self._bias(state, 1)], []
        for i in range(1, self.cnn.depth + 1):
            phi.append(self.cnn.activation(h[-1]))
            if i < self.cnn.depth:
                state, image = state.mv(f"weight{i}", phi[-1])
                h.append(image + self._bias(state, i + 1))
        return state, h, phi

    def readout(self, state: State, phi: list[Array]) -> Float[Array, "sample output"]:
        """gamma0 f: products of the readout with averages, or with every position."""
        last, w = self.space(self.cnn.depth), state.vectors["w"]
        if self.pooled:
            return state.inner(last, self._by_position(phi[-1]).mean(axis=1), w)
        A = self.cnn.positions
        products = state.inner(last, phi[-1], w).reshape(-1, A, self.outputs, A)
        return jnp.einsum("paca->pc", products) / A**0.5

    def backward(self, state: State, h: list[Array], phi: list[Array]) -> tuple[State, Tape]:
        """Backward fields of every layer."""
        A, C = self.cnn.positions, self.outputs
        w = state.vectors["w"].reshape(C, -1, state.vectors["w"].shape[-1])
        w = jnp.broadcast_to(w / A if self.pooled else w / A**0.5, (C, A, w.shape[-1]))
        z = [jnp.tile(w.reshape(C * A, -1), (h[-1].shape[0] // A, 1))]
        g = [self._slope(h[-1]) * z[0]]
        for i in range(self.cnn.depth - 1, 0, -1):
            state, image = state.rmv(f"weight{i}", g[0])
            z.insert(0, image)
            g.insert(0, self._slope(h[i - 1]) * image)
        return state, Tape(h, phi, z, g)

    def update(
        self,
        state: State,
        inputs: Float[Array, "sample position rank"],
        tape: Tape,
        signal: Float[Array, "sample output"],
        rule: Rule,
    ) -> State:
        """Train every parameter along its gradient, summed over positions."""
        pairs = self._pairs(signal) / self.cnn.offsets
        for i in range(1, self.cnn.depth):
            state = state.update(
                f"weight{i}", pairs, step=rule.step, decay=rule.decay, momentum=rule.memory
            )
        total = [
            jnp.einsum("pc,pcan->pan", signal, self._by_output(g))
            for g in (tape.g if self.cnn.biases else tape.g[:1])
        ]
        for i, gradient in enumerate(total, start=1) if self.cnn.biases else ():
            state = rule.train(state, f"bias{i}", gradient.sum(axis=(0, 1))[None])
        state = rule.train(state, "V", jnp.einsum("par,pan->rn", inputs, total[0]))
        last = self._by_position(tape.phi[-1])
        if self.pooled:
            return rule.train(state, "w", signal.T @ last.mean(axis=1))
        gradient = jnp.einsum("pc,pan->can", signal, last) / self.cnn.positions**0.5
        return rule.train(state, "w", gradient.reshape(state.vectors["w"].shape))

    def kernels(
        self, state: State, inputs: Float[Array, "sample position rank"], tape: Tape, first: int
    ) -> dict[str, Array]:
        """Phi and G as a readout would see them, and the tangent kernel.

        Phi averages over pairs of positions if pooled, over equal positions if flattened; G sums
        over the same. The tangent kernel needs the kernels between all positions.
        """
        names = [self.space(i) for i in range(1, self.cnn.depth + 1)]
        phi = [self._by_position(x)[first:] for x in tape.phi]
        g = [self._by_output(x)[first:] for x in tape.g]
        A, x = self.cnn.positions, inputs[first:]
        Phi = [self._joined(state, n, v) for n, v in zip(names, phi, strict=True)]
        rows = [v.reshape(-1, *v.shape[2:]) for v in g]
        G = [self._joined(state, n, v) for n, v in zip(names, rows, strict=True)]
        patches = lambda one: jnp.einsum("ar,pbr->apb", one, x)  # noqa: E731
        ntk = self._hidden(state, names[0], x, g[0], patches)
        for i in range(1, self.cnn.depth):
            seen = self._seen(state, names[i - 1], phi[i - 1])
            ntk = ntk + self._hidden(state, names[i], phi[i - 1], g[i], seen)
        count = 1 if self.pooled else A
        Phi, G = jnp.stack(Phi) / count, jnp.stack(G)
        ntk = ntk + jnp.kron(Phi[-1], jnp.eye(self.outputs))
        return {"Phi": Phi, "G": G * (A**2 if self.pooled else 1), "ntk": ntk}

    def fields(self, tape: Tape, first: int) -> dict[str, Float[Array, "layer row S"]]:
        """Fields of every sample (and output) and position."""
        A = self.cnn.positions
        h = jnp.stack(tape.h)[:, first * A :]
        return {"h": h, "z": jnp.stack(tape.z)[:, first * self.outputs * A :]}

    def _by_position(self, x: Float[Array, "row S"]) -> Float[Array, "sample position S"]:
        return x.reshape(-1, self.cnn.positions, x.shape[-1])

    def _by_output(self, x: Float[Array, "row S"]) -> Float[Array, "sample output position S"]:
        return x.reshape(-1, self.outputs, self.cnn.positions, x.shape[-1])

    def _slope(self, h: Float[Array, "row S"]) -> Float[Array, "field S"]:
        """phi'(h), repeated for every output."""
        slope = self._by_position(self.cnn.activation.derivative(h))
        return jnp.repeat(slope, self.outputs, axis=0).reshape(-1, h.shape[-1])

    def _pairs(self, signal: Float[Array, "sample output"]) -> Array:
        """Coefficients of the products g_{mu c a} phi_{nu b}^T: diagonal in samples, positions."""
        A = self.cnn.positions
        if self.outputs == 1:
            return jnp.repeat(signal[:, 0], A)
        rows = jnp.einsum("pc,pq,ab->pcaqb", signal, jnp.eye(len(signal)), jnp.eye(A))
        return rows.reshape(signal.size * A, -1)

    def _joined(
        self, state: State, space: str, v: Float[Array, "row position S"]
    ) -> Float[Array, "row row"]:
        """Products of averages over positions if pooled, else summed over equal positions."""
        if self.pooled:
            mean = v.mean(axis=1)
            return state.inner(space, mean, mean)
        return jax.vmap(lambda one: state.inner(space, one, one))(v.swapaxes(0, 1)).sum(axis=0)

    def _seen(
        self, state: State, space: str, phi: Float[Array, "sample position S"]
    ) -> PatchKernel:
        """The kernel of what filters see: feature kernels averaged over their offsets."""
        A, flat = self.cnn.positions, phi.reshape(-1, phi.shape[-1])
        taps = [np.asarray(row) for row in self.cnn.taps()]

        def patch(one: Float[Array, "position S"]) -> Float[Array, "position sample position_"]:
            products = state.inner(space, one, flat).reshape(A, -1, A)
            padded = jnp.pad(products, ((0, 1), (0, 0), (0, 1)))  # position -1 is empty
            total = sum((padded[row][:, :, row] for row in taps), jnp.zeros_like(products))
            return total / len(taps)

        return patch

    def _hidden(
        self,
        state: State,
        space: str,
        seen: Float[Array, "sample position n"],
        g: Float[Array, "sample output position S"],
        patch: PatchKernel,
    ) -> Float[Array, "field field"]:
        """Part of one layer's weights and biases in the tangent kernel, one sample at a time."""
        P, C, A, S = g.shape
        flat, bias = g.reshape(-1, S), 1.0 if self.cnn.biases else 0.0

        def rows(pair: tuple[Array, Array]) -> Float[Array, "output sample output_"]:
            one, back = pair
            products = state.inner(space, back.reshape(-1, S), flat).reshape(C, A, P, C, A)
            return jnp.einsum("capdb,apb->cpd", products, patch(one) + bias)

        return lax.map(rows, (seen, g)).reshape(P * C, P * C)
