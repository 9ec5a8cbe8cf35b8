"""Gradient descent on an ordinary finite network, and what is measured of it.

The loss is written down once and differentiated by JAX; no formula of the theory is used.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from orderparam.kernels.activations import Activation


class Task(eqx.Module):
    """What a compiled program needs to know of a problem, in the precision of the run."""

    x: Float[Array, "sample dimension"]
    y: Float[Array, " train"]
    gamma0: Float[Array, ""]
    learning_rate: Float[Array, ""]
    weight_std: tuple[Float[Array, ""], ...]
    activation: Activation = eqx.field(static=True)


class State(NamedTuple):
    """Networks in training; every array has a leading axis of runs.

    `weights` is (W^0, ..., W^{L-1}, w), `origin` what is subtracted from the predictions (f at
    initialisation, or 0), `bad_step` the first step with a non-finite loss (-1: none).
    """

    weights: tuple[Float[Array, "..."], ...]
    origin: Float[Array, "run sample"]
    bad_step: Int[Array, " run"]


class Observation(NamedTuple):
    """Networks at one step: raw predictions, equal-time kernels and fields of every neuron."""

    f: Float[Array, "run sample"]
    Phi: Float[Array, "run layer sample sample"]
    G: Float[Array, "run layer sample sample"]
    h: Float[Array, "run layer sample neuron"]
    phi: Float[Array, "run layer sample neuron"]
    z: Float[Array, "run layer sample neuron"]
    g: Float[Array, "run layer sample neuron"]


def start(task: Task, width: int, seed: int, runs: Sequence[int], centered: bool) -> State:
    """Networks at initialisation, each drawn from (seed, width, run) alone.

    `centered` networks measure predictions from here on, in the loss too.
    """
    weights = _draw(task, width, seed, runs)
    f = observe(weights, task).f
    origin = f if centered else jnp.zeros_like(f)
    return State(weights, origin, jnp.full(len(runs), -1, jnp.int32))


def _over_runs(function: Callable[..., Any]) -> Callable[..., Any]:
    """Apply `function` along the leading axis of its first argument.

    One run is not written as a batch of one, which makes its matrix products slower on a CPU.
    """

    def mapped(runs: Any, *rest: Any) -> Any:
        if jax.tree.leaves(runs)[0].shape[0] > 1:
            return jax.vmap(function, in_axes=(0, *(None for _ in rest)))(runs, *rest)
        single = function(jax.tree.map(lambda a: jnp.squeeze(a, 0), runs), *rest)
        return jax.tree.map(lambda a: jnp.expand_dims(a, 0), single)

    return mapped


def _draw(
    task: Task, width: int, seed: int, runs: Sequence[int]
) -> tuple[Float[Array, "..."], ...]:
    """Initial weights, drawn on the host: the same on every device and in both precisions."""
    L = len(task.weight_std)
    shapes = [(width, task.x.shape[1]), *[(width, width)] * (L - 1), (width,)]
    drawn = []
    for run in runs:
        generator = np.random.default_rng((seed, width, run))
        drawn.append([generator.standard_normal(shape, np.float32) for shape in shapes])
    *matrices, readout = (jnp.asarray(np.stack(a), task.x.dtype) for a in zip(*drawn, strict=True))
    scaled = zip(task.weight_std, matrices, strict=True)
    return *(std * matrix for std, matrix in scaled), readout


def _forward(
    weights: Sequence[Float[Array, "..."]],
    task: Task,
    x: Float[Array, "sample dimension"],
    shifts: Sequence[tuple[Any, Any]],
) -> tuple[Float[Array, " sample"], list[tuple[Array, Array]]]:
    """Predictions and (h, φ) of every layer; `shifts` are added to h and to φ layer by layer."""
    *matrices, readout = weights
    phi, layers = x, []
    for matrix, (h_shift, phi_shift) in zip(matrices, shifts, strict=True):
        h = phi @ matrix.T / math.sqrt(matrix.shape[1]) + h_shift
        phi = task.activation(h) + phi_shift
        layers.append((h, phi))
    return phi @ readout / (task.gamma0 * readout.size), layers


def _loss(
    weights: tuple[Float[Array, "..."], ...], task: Task, origin: Float[Array, " sample"]
) -> Float[Array, ""]:
    """Half the mean squared error over the training samples."""
    no_shift = [(0.0, 0.0)] * (len(weights) - 1)
    train = task.y.size
    f, _ = _forward(weights, task, task.x[:train], no_shift)
    return jnp.mean((f - origin[:train] - task.y) ** 2) / 2


@partial(jax.jit, donate_argnames="state")
def advance(state: State, task: Task, first: Int[Array, ""], last: Int[Array, ""]) -> State:
    """Gradient descent with learning rate η γ0² N, from step `first` to step `last`.

    The bounds are data: one compiled program serves every save grid and block length, which
    therefore cannot change the numbers.
    """

    def run(state: State) -> State:
        rate = task.learning_rate * task.gamma0**2 * state.weights[-1].size

        def step(t: Int[Array, ""], state: State) -> State:
            loss, gradient = jax.value_and_grad(_loss)(state.weights, task, state.origin)
            weights = jax.tree.map(lambda w, dw: w - rate * dw, state.weights, gradient)
            is_first_bad = (state.bad_step < 0) & ~jnp.isfinite(loss)
            return State(weights, state.origin, jnp.where(is_first_bad, t, state.bad_step))

        return jax.lax.fori_loop(first, last, step, state)

    return _over_runs(run)(state)


@jax.jit
def observe(weights: tuple[Float[Array, "..."], ...], task: Task) -> Observation:
    """Predictions, kernels and fields on all samples, test samples included.

    The backward fields g^l = γ0 N ∂f/∂h^l and z^l = γ0 N ∂f/∂φ^l are derivatives with respect to
    perturbations of size zero. Samples do not interact, so the sum of f has all of them.
    """

    def one(weights: tuple[Float[Array, "..."], ...]) -> Observation:
        width = weights[-1].size
        nothing = jnp.zeros((task.x.shape[0], width), task.x.dtype)

        def total(shifts: list[tuple[Array, Array]]) -> tuple[Array, Any]:
            f, layers = _forward(weights, task, task.x, shifts)
            return jnp.sum(f), (f, layers)

        slopes, (f, layers) = jax.grad(total, has_aux=True)([(nothing, nothing)] * len(weights[1:]))
        h, phi = (jnp.stack(part) for part in zip(*layers, strict=True))
        g, z = (task.gamma0 * width * jnp.stack(part) for part in zip(*slopes, strict=True))
        return Observation(f, _gram(phi), _gram(g), h, phi, z, g)

    return _over_runs(one)(weights)


def _gram(a: Float[Array, "layer sample neuron"]) -> Float[Array, "layer sample sample"]:
    """Average over neurons of the products of every two samples."""
    return jnp.einsum("lmi,lni->lmn", a, a) / a.shape[-1]
