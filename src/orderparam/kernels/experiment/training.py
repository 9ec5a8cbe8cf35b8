"""Gradient descent on an ordinary finite network, and what is measured of it.

The loss is written down once and differentiated by JAX; no formula of the theory is used.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from orderparam.kernels.experiment.networks import Weights, draw, forward
from orderparam.kernels.model.cnn import CNN
from orderparam.kernels.model.losses import loss_named
from orderparam.kernels.model.network import Network


class Task(eqx.Module):
    """What a compiled program needs to know of a problem, in the precision of the run.

    `x` are the samples that are followed, `fresh` those that are used once (or `None`), `indices`
    the train samples of each step (or `None` for all), `factors` the learning rates of the parts
    relative to `rates`.
    """

    x: Float[Array, "sample dimension"]
    y: Float[Array, "train output"]
    fresh: Float[Array, "train dimension"] | None
    indices: Int[Array, "step batch"] | None
    scale: Float[Array, ""]
    rates: Float[Array, " step"]
    decay: Float[Array, ""]
    momentum: Float[Array, ""]
    factors: dict[str, list[Float[Array, ""]]]
    network: Network = eqx.field(static=True)
    loss: str = eqx.field(static=True)
    heavy: bool = eqx.field(static=True)
    centered: bool = eqx.field(static=True)


class State(NamedTuple):
    """Networks in training; every array has a leading axis of runs.

    `origin` is what is subtracted from predictions of followed samples (f at initialisation, or 0),
    `initial` the first weights where fresh samples need them, `bad_step` the first step with a
    non-finite loss (-1: none).
    """

    weights: Weights
    velocity: Weights | None
    initial: Weights | None
    origin: Float[Array, "run sample output"]
    bad_step: Int[Array, " run"]


class Observation(NamedTuple):
    """Networks at one step: raw predictions, equal-time kernels and fields of every neuron.

    Rows of the backward fields z and g are samples times outputs, outputs fastest; with
    convolution, rows of all fields are also positions, which are fastest. The tangent kernel of
    these follows from no kernel above and is measured (`None` without convolution).
    """

    f: Float[Array, "run sample output"]
    Phi: Float[Array, "run layer sample sample"]
    G: Float[Array, "run layer field field"]
    ntk: Float[Array, "run field field"] | None
    h: Float[Array, "run layer row neuron"]
    phi: Float[Array, "run layer row neuron"]
    z: Float[Array, "run layer row_ neuron"]
    g: Float[Array, "run layer row_ neuron"]


def start(task: Task, width: int, seed: int, runs: Sequence[int]) -> State:
    """Networks at initialisation; centered ones measure predictions from here on."""
    drawn = draw(task.network, width, task.x.shape[1], task.y.shape[1], seed, runs)
    weights = jax.tree.map(lambda a: jnp.asarray(a, task.x.dtype), drawn)
    f = observe(weights, task).f
    origin = f if task.centered else jnp.zeros_like(f)
    velocity = jax.tree.map(jnp.zeros_like, weights) if task.heavy else None
    kept = task.fresh is not None and task.centered
    initial = jax.tree.map(jnp.copy, weights) if kept else None
    return State(weights, velocity, initial, origin, jnp.full(len(runs), -1, jnp.int32))


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


def _batch_loss(weights: Weights, task: Task, state: State, t: Array) -> Float[Array, ""]:
    """Mean loss of the samples that step `t` sees."""
    value = loss_named(task.loss).value
    train = task.y.shape[0]
    if task.fresh is not None:
        chosen = task.indices[t]  # type: ignore[index]
        f, _ = forward(task.network, weights, task.fresh[chosen], task.scale)
        if state.initial is not None:
            f = f - forward(task.network, state.initial, task.fresh[chosen], task.scale)[0]
        return jnp.mean(value(f, task.y[chosen]))
    x, y, origin = task.x[:train], task.y, state.origin[:train]
    if task.indices is not None:
        chosen = task.indices[t]
        x, y, origin = x[chosen], y[chosen], origin[chosen]
    f, _ = forward(task.network, weights, x, task.scale)
    return jnp.mean(value(f - origin, y))


@partial(jax.jit, donate_argnames="state")
def advance(state: State, task: Task, first: Int[Array, ""], last: Int[Array, ""]) -> State:
    """Gradient descent with learning rate η γ0² N, from step `first` to step `last`.

    The bounds are data: one compiled program serves every save grid and block length, which
    therefore cannot change the numbers.
    """

    def run(state: State) -> State:
        size = task.scale**2 * state.weights["w"][0].shape[0]

        def step(t: Int[Array, ""], state: State) -> State:
            loss, gradient = jax.value_and_grad(_batch_loss)(state.weights, task, state, t)
            velocity = gradient
            if state.velocity is not None:
                velocity = jax.tree.map(
                    lambda v, g: task.momentum * v + g, state.velocity, gradient
                )
            rate = task.rates[t]
            weights = jax.tree.map(
                lambda w, v, r: (1 - rate * task.decay) * w - rate * size * r * v,
                state.weights, velocity, task.factors,
            )  # fmt: skip
            is_first_bad = (state.bad_step < 0) & ~jnp.isfinite(loss)
            bad_step = jnp.where(is_first_bad, t, state.bad_step)
            kept = None if state.velocity is None else velocity
            return State(weights, kept, state.initial, state.origin, bad_step)

        return jax.lax.fori_loop(first, last, step, state)

    return _over_runs(run)(state)


@jax.jit
def batch_losses(state: State, task: Task, t: Int[Array, ""]) -> Float[Array, " run"]:
    """Loss of each network on the samples of step `t`, before that step."""
    return _over_runs(lambda state: _batch_loss(state.weights, task, state, t))(state)


@jax.jit
def observe(weights: Weights, task: Task) -> Observation:
    """Predictions, kernels and fields on all followed samples.

    The backward fields g^l = γ0 N ∂f/∂h^l and z^l = γ0 N ∂f/∂φ^l are derivatives with respect to
    perturbations of size zero. Samples do not interact, so one pass per output has all of them.
    """

    def one(weights: Weights) -> Observation:
        width, network = weights["w"][0].shape[0], task.network
        shape = network.shape if isinstance(network, CNN) else ()
        nothing = jnp.zeros((task.x.shape[0], width, *shape), task.x.dtype)

        def predict(shifts: list[tuple[Array, Array]]) -> tuple[Array, Any]:
            return forward(network, weights, task.x, task.scale, shifts)

        shifts = [(nothing, nothing)] * network.depth
        f, pull, layers = jax.vjp(predict, shifts, has_aux=True)
        outputs = f.shape[1]
        rows = [jnp.zeros_like(f).at[:, c].set(1.0) for c in range(outputs)]
        slopes = [pull(row)[0] for row in rows]
        h, phi = (_rows(jnp.stack(part)) for part in zip(*layers, strict=True))

        def field(side: int) -> Float[Array, "layer field position neuron"]:
            parts = [jnp.stack([layer[side] for layer in slope]) for slope in slopes]
            joined = jnp.stack(parts, axis=2)
            joined = joined.reshape(joined.shape[0], -1, *joined.shape[3:])
            return task.scale * width * _rows(joined)

        g, z = field(0), field(1)
        ntk = _tangent(weights, task) if shape else None
        pairs = h.shape[2] ** 2 if is_pooled(network) else h.shape[2]
        Phi, G = _kernel(network, phi) / pairs, _kernel(network, g)
        h, phi, z, g = (a.reshape(len(a), -1, width) for a in (h, phi, z, g))
        return Observation(f, Phi, G, ntk, h, phi, z, g)

    return _over_runs(one)(weights)


def _rows(a: Float[Array, "layer row neuron *shape"]) -> Float[Array, "layer row position neuron"]:
    return a.reshape(*a.shape[:3], -1).swapaxes(2, 3)


def is_pooled(network: Network) -> bool:
    """Whether readouts see sums over positions; without convolution there is one position."""
    return not isinstance(network, CNN) or network.readout == "pooled"


def _kernel(
    network: Network, a: Float[Array, "layer row position neuron"]
) -> Float[Array, "layer row row"]:
    """Average over neurons of products, summed over two positions if pooled, else over equal."""
    if is_pooled(network):
        a = a.sum(axis=2, keepdims=True)
    return jnp.einsum("lman,lkan->lmk", a, a) / a.shape[-1]


def _tangent(weights: Weights, task: Task) -> Float[Array, "field field"]:
    """gamma0^2 N times products of the gradients of predictions, one sample at a time."""

    def rows(x: Float[Array, " dimension"]) -> Weights:
        return jax.jacrev(lambda w: forward(task.network, w, x[None], task.scale)[0][0])(weights)

    slopes = jax.lax.map(rows, task.x)
    flat = [a.reshape(a.shape[0] * a.shape[1], -1) for a in jax.tree.leaves(slopes)]
    size = task.scale**2 * weights["w"][0].shape[0]
    return size * sum((a @ a.T for a in flat), jnp.zeros((), task.x.dtype))
