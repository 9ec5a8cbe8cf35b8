r"""Many neurons together, and how their averages answer to a push of the predictions.

The predictions that drive a neuron are averages over all of them, u = E[F(zeta; u)]. A push e that
is added to the averages, u = E[F] + e, moves u by (1 - J)^{-1} e with J = E[dF/du]. J is strictly
causal: one pass through time applies the inverse, nothing is iterated, no regulariser is needed.
The influence of one neuron on u is a push by F(zeta) - u, and its influence on any average
o = E[O] follows:

    psi_u = (1 - J)^{-1} (F - u),   psi_o = O - o + E[dO/du] psi_u

so the answers of all averages to pushes from a basis of the span of F - u are all that is needed.

Source: Bordelon & Pehlevan (2023); docs/theory/fluctuations.md, Influence functions, Algorithms.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from orderparam.fluctuations.theory.functions import Observed
from orderparam.fluctuations.theory.particles import (
    Moving,
    Neuron,
    Origin,
    Training,
    averages,
    begin,
    driving,
    origin_of,
    path,
    step,
)
from orderparam.support.programs import program

Push = Float[Array, "step batch output"]


class Limit(NamedTuple):
    """Averages over all neurons: driving predictions, base observables at the saved steps."""

    u: Push
    observed: Observed


class Population(NamedTuple):
    """Neurons at initialisation, and their weights in averages, which sum to 1."""

    start: Neuron
    weights: Float[Array, " neuron"]


class Paths(NamedTuple):
    """Neurons at the saved steps (time first), their origins, and F - u for each of them."""

    saved: Neuron
    origin: Origin
    shares: Float[Array, "neuron step batch output"]


def _origins(training: Training, start: Neuron) -> Origin:
    return jax.vmap(lambda one: origin_of(training, one))(start)


def together(training: Training, neurons: Population, push: Push) -> tuple[Neuron, Limit]:
    """All neurons at all steps, driven by their own averages plus a push."""
    origin = _origins(training, neurons.start)

    def advance(moving: Moving, t: Array) -> tuple[Moving, tuple[Neuron, Array]]:
        shares = jax.vmap(lambda now, first: driving(training, now, first, t))(moving.now, origin)
        u = jnp.tensordot(neurons.weights, shares, axes=1) + push[t]
        moved = jax.vmap(lambda one: step(training, one, u, t))(moving)
        return moved, (moving.now, u)

    first = jax.vmap(lambda one: begin(training, one))(neurons.start)
    paths, u = lax.scan(advance, first, jnp.arange(len(training.indices)))[1]
    return paths, Limit(u, _seen(training, paths, origin, neurons.weights))


def _seen(
    training: Training, paths: Neuron, origin: Origin, weights: Float[Array, " neuron"]
) -> Observed:
    """Base observables at the saved steps of paths (step, neuron, ...)."""

    def at(t: Array) -> Observed:
        return averages(training, jax.tree.map(lambda a: a[t], paths), origin, weights)

    return jax.vmap(at)(training.saved)


@program
def limit(training: Training, neurons: Population) -> tuple[Limit, Paths]:
    """The limit, and what neurons are and add there."""
    paths, found = together(training, neurons, jnp.zeros(training.active))
    origin = _origins(training, neurons.start)

    def share(now: Neuron, t: Array) -> Array:
        return jax.vmap(lambda one, first: driving(training, one, first, t))(now, origin)

    shares = jnp.moveaxis(jax.vmap(share)(paths, jnp.arange(len(training.indices))), 0, 1)
    saved = jax.tree.map(lambda a: a[training.saved], paths)
    return found, Paths(saved, origin, shares - found.u)


@program
def answers(
    training: Training, neurons: Population, pushes: Float[Array, "mode step batch output"]
) -> Limit:
    """How u and the base observables answer to each of several pushes, which go through at once."""

    def averages_of(push: Push) -> Limit:
        return together(training, neurons, push)[1]

    still = jnp.zeros(training.active)
    return jax.vmap(lambda push: jax.jvp(averages_of, (still,), (push,))[1])(pushes)


@program
def own_shifts(
    training: Training,
    neurons: Population,
    u: Push,
    psi: Float[Array, "neuron step batch output"],
    modes: Float[Array, "mode step batch output"],
    own: Float[Array, " mode"],
) -> Limit:
    """Mean shifts times N of neurons that are driven one by one.

    b = E[dO/du psi_u] + 1/2 E[d^2 O/du^2 Sigma_u], for driving predictions and observables; how the
    averages answer to
    `b.u` comes on top.

    Args:
        training: What is trained.
        neurons: The neurons.
        u: Driving predictions of the limit.
        psi: Influence of each neuron on u.
        modes: Sigma_u = sum over modes of mode mode^T; some of them, which go through at once.
        own: 1 in the place of the first term, whose mode is 0, and 0 in all others.
    """
    origin = _origins(training, neurons.start)

    def driven(by: Float[Array, "neuron step batch output"]) -> Limit:
        paths, shares = jax.vmap(lambda *one: path(training, *one))(neurons.start, origin, by)
        paths = jax.tree.map(lambda a: jnp.moveaxis(a, 0, 1), paths)
        mean = jnp.tensordot(neurons.weights, shares, axes=1)
        return Limit(mean, _seen(training, paths, origin, neurons.weights))

    def along(own: Array, mode: Push) -> Limit:
        """First derivative along `own` times psi, half the second along a mode."""

        def first(size: Array) -> Limit:
            by = lambda s: driven(u + s * (own * psi + mode))  # noqa: E731
            return jax.jvp(by, (size,), (jnp.ones(()),))[1]

        slope, curve = jax.jvp(first, (jnp.zeros(()),), (jnp.ones(()),))
        return jax.tree.map(lambda a, b: own * a + (1 - own) * b / 2, slope, curve)

    return jax.tree.map(lambda a: a.sum(axis=0), jax.vmap(along)(own, modes))
