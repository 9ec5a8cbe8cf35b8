r"""A network with one hidden layer as a system of exchangeable neurons.

A neuron is its weights: input weights V along the directions of the data, readout w, a bias b where
there are any, and their velocities under momentum. Given the predictions u of the training samples
at every step, its whole path follows from its own start, and neurons do not interact:

    h_mu = (A V)_mu + b,   x_mu / sqrt(D) = sum_r A_{mu r} e_r
    v_V <- beta v_V + A^T s',  v_w <- beta v_w + phi(h) s,   s = Delta(u, y) / B
    V <- (1 - eta lambda) V + eta gamma0 v_V,  s'_mu = phi'(h_mu) sum_c w_c s_{mu c}

Functions take one neuron; `jax.vmap` maps them over many.

Source: Bordelon & Pehlevan (2023); docs/theory/fluctuations.md, One hidden layer.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from orderparam.fluctuations.theory.functions import Observed
from orderparam.kernels import KernelEvolution, followed, loss_named
from orderparam.numerics.activations import Activation

RANK = 1e-12
"""Eigenvalues of the kernel of the inputs below this part of the largest are zero."""


class Neuron(NamedTuple):
    """Weights of one neuron; `b` has no entries without biases."""

    V: Float[Array, " rank"]
    w: Float[Array, " output"]
    b: Float[Array, " bias"]


class Origin(NamedTuple):
    """What a neuron adds to predictions at initialisation, times N: 0 unless these are centered."""

    rows: Float[Array, "train output"]
    seen: Float[Array, "sample output"]


class Moving(NamedTuple):
    """A neuron in training: where it is, and how fast it moves (`None` without momentum)."""

    now: Neuron
    velocity: Neuron | None


class Training(eqx.Module):
    """What the path of a neuron depends on besides its start and the predictions.

    `rows` and `seen` are the training samples and those that are followed, along their principal
    directions; `indices` the training samples of each step; `subtracted` is 1 for predictions that
    are measured from their start, and 0 for others.
    """

    rows: Float[Array, "train rank"]
    seen: Float[Array, "sample rank"]
    y: Float[Array, "train output"]
    indices: Int[Array, "step batch"]
    saved: Int[Array, " time"]
    rates: Float[Array, " step"]
    gamma0: Float[Array, ""]
    decay: Float[Array, ""]
    momentum: Float[Array, ""]
    subtracted: Float[Array, ""]
    activation: Activation = eqx.field(static=True)
    loss: str = eqx.field(static=True)
    heavy: bool = eqx.field(static=True)
    biases: bool = eqx.field(static=True)

    @property
    def active(self) -> tuple[int, int, int]:
        """Shape of the predictions u that drive neurons: steps, samples of a batch, outputs."""
        return self.indices.shape[0], self.indices.shape[1], self.y.shape[1]


def training_of(evolution: KernelEvolution, saved: Int[np.ndarray, " time"]) -> Training:
    """The training of a problem with one hidden layer, up to the last saved step."""
    data, batches, steps = evolution.data, evolution.batches, int(saved[-1]) + 1
    every = np.tile(np.arange(data.count), (steps, 1))
    indices = every if batches is None else batches.indices(data.count, evolution.steps)[:steps]
    inputs = np.concatenate([data.x, followed(evolution)]) / np.sqrt(data.dimension)
    rows = directions(inputs)
    return Training(
        rows=jnp.asarray(rows[: data.count]),
        seen=jnp.asarray(rows[data.count :]),
        y=jnp.asarray(data.targets()),
        indices=jnp.asarray(indices),
        saved=jnp.asarray(saved),
        rates=jnp.asarray(evolution.rates()[:steps]),
        gamma0=jnp.asarray(evolution.gamma0),
        decay=jnp.asarray(evolution.weight_decay),
        momentum=jnp.asarray(evolution.momentum),
        subtracted=jnp.asarray(float(evolution.centered)),
        activation=evolution.network.activation,
        loss=evolution.loss,
        heavy=evolution.momentum > 0,
        biases=evolution.network.biases,
    )


def directions(inputs: Float[np.ndarray, "sample D"]) -> Float[np.ndarray, "sample rank"]:
    """Inputs in the basis of their principal directions, largest first, as many as there are."""
    left, size, _ = np.linalg.svd(inputs, full_matrices=False)
    kept = size**2 > RANK * max(float(size[0]) ** 2, np.finfo(float).tiny)
    kept[0] = True  # inputs of zero have one direction too, along which they are zero
    return left[:, kept] * size[kept]


def fields(
    training: Training, neuron: Neuron, rows: Float[Array, "row rank"]
) -> tuple[Float[Array, " row"], Float[Array, " row"]]:
    """phi(h) and phi'(h) on some samples."""
    h = rows @ neuron.V
    if training.biases:
        h = h + neuron.b[0]
    return training.activation(h), training.activation.derivative(h)


def contribution(
    training: Training, neuron: Neuron, rows: Float[Array, "row rank"]
) -> Float[Array, "row output"]:
    """What a neuron adds to raw predictions, times N: w phi(h)/gamma0."""
    return fields(training, neuron, rows)[0][:, None] * neuron.w / training.gamma0


def origin_of(training: Training, neuron: Neuron) -> Origin:
    """What is subtracted from the neuron's contributions."""
    return Origin(
        training.subtracted * contribution(training, neuron, training.rows),
        training.subtracted * contribution(training, neuron, training.seen),
    )


def begin(training: Training, neuron: Neuron) -> Moving:
    """A neuron at step 0."""
    return Moving(neuron, jax.tree.map(jnp.zeros_like, neuron) if training.heavy else None)


def driving(
    training: Training, neuron: Neuron, origin: Origin, t: Int[Array, ""]
) -> Float[Array, "batch output"]:
    """What a neuron adds to the predictions that drive step t."""
    chosen = training.indices[t]
    return contribution(training, neuron, training.rows[chosen]) - origin.rows[chosen]


def step(
    training: Training, moving: Moving, u: Float[Array, "batch output"], t: Int[Array, ""]
) -> Moving:
    """One step of training, given the predictions of the samples that it sees."""
    chosen = training.indices[t]
    rows, now = training.rows[chosen], moving.now
    signal = loss_named(training.loss).signal(u, training.y[chosen]) / len(chosen)
    phi, slope = fields(training, now, rows)
    back = slope * (signal @ now.w)
    force = Neuron(rows.T @ back, phi @ signal, back.sum()[None] if training.biases else now.b)
    if moving.velocity is not None:
        force = jax.tree.map(lambda v, g: training.momentum * v + g, moving.velocity, force)
    rate = training.rates[t]
    new = jax.tree.map(
        lambda x, v: (1 - rate * training.decay) * x + rate * training.gamma0 * v, now, force
    )
    return Moving(new, None if moving.velocity is None else force)


def path(
    training: Training, neuron: Neuron, origin: Origin, u: Float[Array, "step batch output"]
) -> tuple[Neuron, Float[Array, "step batch output"]]:
    """A neuron before each step, and what it adds to the predictions that drive it."""

    def advance(moving: Moving, t: Array) -> tuple[Moving, tuple[Neuron, Array]]:
        share = driving(training, moving.now, origin, t)
        return step(training, moving, u[t], t), (moving.now, share)

    times = jnp.arange(len(training.indices))
    return lax.scan(advance, begin(training, neuron), times)[1]


def averages(
    training: Training, neurons: Neuron, origin: Origin, weights: Float[Array, " neuron"]
) -> Observed:
    """Base observables of many neurons at one time: their weighted averages."""
    phi, slope = jax.vmap(lambda one: fields(training, one, training.seen))(neurons)
    g = (slope[:, :, None] * neurons.w[:, None, :]).reshape(len(weights), -1)
    raw = (weights[:, None] * phi).T @ neurons.w / training.gamma0
    return {
        "f": raw - jnp.tensordot(weights, origin.seen, axes=1),
        "Phi": ((weights[:, None] * phi).T @ phi)[None],
        "G": ((weights[:, None] * g).T @ g)[None],
    }


def single(training: Training, neuron: Neuron, origin: Origin) -> Observed:
    """What one neuron adds to the base observables, times N."""
    one, first = jax.tree.map(lambda a: a[None], (neuron, origin))
    return averages(training, one, first, jnp.ones(1))
