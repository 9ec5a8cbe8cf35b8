r"""The leading fluctuation of a network from its initial neurons: a control variate for shifts.

A network deviates from the limit by (1/N) sum_i psi_o(zeta_i) + O(1/N), and the sum has mean zero.
Subtracted from a measured deviation it takes away what is of order N^{-1/2}, so that an ensemble of
E networks tells N times its mean deviation to O(1)/E^{1/2} and not to (N Sigma/E)^{1/2}. Neurons
that are driven by the predictions of the limit give the sum for all observables at once:

    F = (1/N) sum_i F(zeta_i; u),   (1/N) sum psi_o = O - o + E[dO/du] (1 - J)^{-1} (F - u)

Limit and averages E are those of one set of S neurons. Its sampling error cancels between the limit
and the sum at first order; what it leaves is of second order, as its square.

Source: docs/theory/fluctuations.md, Control variate.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from orderparam.fluctuations.theory.basis import Basis, explicit_basis, grouped, mode_basis
from orderparam.fluctuations.theory.functions import Functions, Observed
from orderparam.fluctuations.theory.particles import (
    Neuron,
    Training,
    averages,
    origin_of,
    path,
)
from orderparam.fluctuations.theory.response import Limit, Population, Push, answers, limit
from orderparam.fluctuations.theory.two_layer import AT_ONCE, FEW
from orderparam.kernels import KernelEvolution, draw_weights, followed
from orderparam.support.programs import program


class Reference(NamedTuple):
    """The limit, and how base observables answer there to the pushes of a basis."""

    limit: Limit
    pushes: Float[np.ndarray, "mode step batch output"]
    answers: Observed


def reference(training: Training, neurons: Population) -> Reference:
    """The limit of a set of neurons, and the answers of its averages."""
    found, paths = limit(training, neurons)
    shares, weights = np.asarray(paths.shares), np.asarray(neurons.weights)
    few = int(np.prod(training.active)) <= FEW
    basis: Basis = explicit_basis(shares) if few else mode_basis(shares, weights, AT_ONCE)
    parts = [
        answers(training, neurons, jnp.asarray(part)).observed
        for part in grouped(basis.pushes, min(AT_ONCE, len(basis.pushes)))
    ]
    count = len(basis.pushes)
    answered = jax.tree.map(lambda *a: np.concatenate(a)[:count], *parts)
    return Reference(found, basis.pushes, answered)


def initial_neurons(
    evolution: KernelEvolution, training: Training, width: int, seed: int, runs: range
) -> Neuron:
    """Neurons of ordinary networks at initialisation, with axes (run, neuron, ...)."""
    data = evolution.data
    drawn = draw_weights(evolution.network, width, data.dimension, data.outputs, seed, runs)
    inputs = np.concatenate([data.x, followed(evolution)]) / np.sqrt(data.dimension)
    rows = np.concatenate([np.asarray(training.rows), np.asarray(training.seen)])
    size = np.sum(rows**2, axis=0)
    # Columns of `rows` are inputs along orthonormal directions, times their sizes.
    directions = inputs.T @ rows / np.where(size > 0, size, 1.0)
    V = drawn["W"][0].astype(np.float64) @ directions
    biases = drawn["b"][0][..., None] if drawn["b"] else np.zeros((len(runs), width, 0))
    return Neuron(*(jnp.asarray(a, jnp.float64) for a in (V, drawn["w"][0], biases)))


@program
def driven(training: Training, starts: Neuron, u: Push) -> Limit:
    """Averages over the neurons of each network (leading axis) that u drives one by one."""

    def network(start: Neuron) -> Limit:
        origin = jax.vmap(lambda one: origin_of(training, one))(start)
        each = jax.vmap(lambda one, first: path(training, one, first, u))
        paths, shares = each(start, origin)
        weights = jnp.full(len(start.w), 1 / len(start.w))

        def at(t: Array) -> Observed:
            now = jax.tree.map(lambda a: a[:, t], paths)
            return averages(training, now, origin, weights)

        return Limit(shares.mean(axis=0), jax.vmap(at)(training.saved))

    return lax.map(network, starts)


def influence_means(
    functions: Functions, known: Reference, found: Limit
) -> tuple[Observed, Observed]:
    """Limits of all variables (time first), and (1/N) sum psi of each network (run, time, ...).

    Args:
        functions: The variables.
        known: The limit and its answers.
        found: Averages over the neurons of each network.
    """
    rest = np.asarray(found.u - known.limit.u).reshape(len(found.u), -1)
    coefficients = rest @ known.pushes.reshape(len(known.pushes), -1).T
    psi = {
        name: one - known.limit.observed[name]
        + jnp.tensordot(coefficients, known.answers[name], axes=1)
        for name, one in found.observed.items()
    }  # fmt: skip
    return _derived(functions, known.limit.observed, psi)


@program
def _derived(functions: Functions, base: Observed, psi: Observed) -> tuple[Observed, Observed]:
    """All variables, and their derivatives along the deviation of each network."""

    def at(now: Observed, way: Observed) -> Observed:
        return jax.jvp(functions, (now,), (way,))[1]

    return jax.vmap(functions)(base), lax.map(lambda one: jax.vmap(at)(base, one), psi)
