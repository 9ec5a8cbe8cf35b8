"""Kernel evolution as an engine program: one text for every kind of space.

One step: forward through the layers, error signal, backward, observe, then update all weights
(docs/theory/kernels.md, One step of training).
"""

import dataclasses
from typing import Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from orderparam.engine import Layout, Program, State
from orderparam.engine.run import Fields, Observed
from orderparam.kernels.model.cnn import CNN
from orderparam.kernels.model.losses import loss_named
from orderparam.kernels.problem import KernelEvolution
from orderparam.kernels.theory.convolution import ConvolutionalLayers
from orderparam.kernels.theory.dense import DenseLayers
from orderparam.kernels.theory.layers import Layers, Rule, Tape


def layers_of(problem: KernelEvolution) -> Layers:
    """The layers of the problem's network."""
    kind = ConvolutionalLayers if isinstance(problem.network, CNN) else DenseLayers
    return kind(problem.network, problem.data.outputs, problem.momentum > 0)


def layout(problem: KernelEvolution, response: bool = True) -> Layout:
    """Spaces and matrices of the problem's network."""
    return layers_of(problem).layout(response)


def _independent(inputs: Float[np.ndarray, "sample d"]) -> Float[np.ndarray, "sample rank"]:
    """Coordinates of the inputs in as few directions as they span; the same inner products."""
    values, vectors = np.linalg.eigh(inputs @ inputs.T)
    keep = values > 1e-12 * values[-1]
    keep[-1] = True  # inputs that are all zero span nothing, but a program needs a direction
    return vectors[:, keep] * np.sqrt(np.maximum(values[keep], 0.0))


class KernelProgram(Program):
    """Gradient descent on the loss, test inputs carried passively.

    Attributes:
        layers: The network.
        loss: Name of the loss.
        centered: Whether f(0) is subtracted.
        inputs: What the first weights see of the samples that are followed: train (unless fresh),
            then test.
        y: Train labels.
        fresh: The same of samples that are used once, in order; `None` if train samples return.
        indices: Train samples that each step sees; `None` for all.
        gamma0: Feature-learning strength.
        rates: eta at each step; the network trains with eta gamma0^2 N.
        decay: Weight decay lambda.
        momentum: beta.
        observed: Whether kernels are formed at each step; `None` for all.
    """

    layers: Layers
    loss: str = eqx.field(static=True)
    centered: bool = eqx.field(static=True)
    inputs: Float[Array, "sample *position rank"]
    y: Float[Array, "train output"]
    fresh: Float[Array, "train *position rank"] | None
    indices: Int[Array, "step batch"] | None
    gamma0: Float[Array, ""]
    rates: Float[Array, " step"]
    decay: Float[Array, ""]
    momentum: Float[Array, ""]
    observed: Bool[Array, " step"] | None = None

    @classmethod
    def of(cls, problem: KernelEvolution) -> Self:
        """The program that trains `problem`."""
        data, batches, layers = problem.data, problem.batches, layers_of(problem)
        train = layers.inputs(data.x)
        inputs = np.concatenate([train, layers.inputs(data.x_test)])
        fresh = None
        if problem.one_pass:
            inputs = inputs[len(train) :]
            fresh = jnp.asarray(train)
        elif inputs.ndim == 2:
            inputs = _independent(inputs)
        indices = None if batches is None else batches.indices(data.count, problem.steps)
        numbers = (problem.gamma0, problem.rates(), problem.weight_decay, problem.momentum)
        return cls(
            layers,
            problem.loss,
            problem.centered,
            jnp.asarray(inputs),
            jnp.asarray(data.targets()),
            fresh,
            None if indices is None else jnp.asarray(indices),
            *(jnp.asarray(np.asarray(number, dtype=float)) for number in numbers),
        )

    def observing(self, grid: Int[np.ndarray, " time"]) -> Self:
        """The same program, which forms the kernels of images at the steps of `grid` alone.

        They cost as much as the step itself; kernels without positions cost next to nothing.
        """
        if self.inputs.ndim == 2:
            return self
        observed = np.zeros(len(self.rates), bool)
        observed[grid] = True
        return dataclasses.replace(self, observed=jnp.asarray(observed))

    def start(self, state: State) -> State:
        """Draw the weights; f(0) is known after step 0."""
        state = self.layers.start(state, self.inputs.shape[-1])
        return state.keep("f0", None, jnp.zeros((self.inputs.shape[0], self.layers.outputs)))

    def step(self, state: State, t: Int[Array, ""]) -> tuple[State, Observed, Fields]:
        """Forward, error signal, backward, observe, then update all weights."""
        inputs, y, weights = self._samples(t)
        state, h, phi = self.layers.forward(state, inputs)
        state, f = self.predictions(state, t, phi)
        state, tape = self.layers.backward(state, h, phi)
        observed, fields = self._observe(state, t, inputs, f, y, tape)
        state, delta = self.error_signal(state, f[: y.shape[0]], y)
        signal = jnp.zeros_like(f).at[: y.shape[0]].set(self.gamma0 * weights[:, None] * delta)
        heavy = self.layers.heavy
        rule = Rule(self.rates[t], self.rates[t] * self.decay, self.momentum, heavy)
        return self.layers.update(state, inputs, tape, signal, rule), observed, fields

    def predictions(
        self, state: State, t: Int[Array, ""], phi: list[Array]
    ) -> tuple[State, Float[Array, "sample output"]]:
        """Predictions f for all samples of the step, less its first value where that is asked."""
        f = self.layers.readout(state, phi) / self.gamma0
        # At infinite width f(0) = 0; subtracting the sampled value of followed inputs lowers noise.
        followed = f[-self.inputs.shape[0] :]
        f0 = jnp.where(t == 0, followed, state.vectors["f0"]) * float(self.centered)
        state = state.keep("f0", None, f0)
        return state, jnp.concatenate([f[: -self.inputs.shape[0]], followed - f0])

    def error_signal(self, state: State, f: Array, y: Array) -> tuple[State, Array]:
        """Delta = -dl/df of the samples that are trained on."""
        return state, loss_named(self.loss).signal(f, y)

    def _samples(self, t: Int[Array, ""]) -> tuple[Array, Array, Array]:
        """Inputs of the step, labels of the trained ones among them, and the weights of these."""
        train = self.y.shape[0]
        if self.indices is None:
            return self.inputs, self.y, jnp.full(train, 1 / train)
        chosen, size = self.indices[t], self.indices.shape[1]
        if self.fresh is None:
            return self.inputs, self.y, jnp.zeros(train).at[chosen].add(1 / size)
        inputs = jnp.concatenate([self.fresh[chosen], self.inputs])
        return inputs, self.y[chosen], jnp.full(size, 1 / size)

    def _observe(
        self, state: State, t: Array, inputs: Array, f: Array, y: Array, tape: Tape
    ) -> tuple[Observed, Fields]:
        """What is known of the followed samples, and the loss of the trained ones."""
        first = f.shape[0] - self.inputs.shape[0]

        def kernels() -> Observed:
            carried = self.layers.carrying(state, tape)
            return self.layers.kernels(state, inputs, tape, first) | carried

        def nothing() -> Observed:
            shapes = jax.eval_shape(kernels)
            return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)

        if self.observed is None:
            formed = kernels()
        else:
            formed = jax.lax.cond(self.observed[t], kernels, nothing)
        loss = jnp.mean(loss_named(self.loss).value(f[: y.shape[0]], y))
        return {"f": f[first:], "loss": loss, **formed}, self.layers.fields(tape, first)
