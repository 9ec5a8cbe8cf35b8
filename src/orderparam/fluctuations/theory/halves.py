r"""Mean shifts without derivatives: a network of 2N neurons and its two halves.

beta = -2N E[o_{2N} - (o_N + o'_N)/2], where the three share their neurons at initialisation: the
fluctuation of order N^{-1/2} cancels sample by sample, so that the error of one estimate is of
order 1 and not of order N^{1/2}. What is left out is of order 1/N.

Source: docs/theory/fluctuations.md, Shared seeds.
"""

import jax
import jax.numpy as jnp

from orderparam.fluctuations.theory.functions import Functions, Observed
from orderparam.fluctuations.theory.particles import Neuron, Training
from orderparam.fluctuations.theory.response import Population, together
from orderparam.support.programs import program


@program
def halves(training: Training, functions: Functions, starts: Neuron) -> tuple[Observed, Observed]:
    """Limits and mean shifts of all variables over time, averaged over repeats.

    Args:
        training: What is trained, and when it is looked at.
        functions: The variables.
        starts: Neurons at initialisation with axes (repeat, neuron, ...), 2N of them.

    Returns:
        `2 o_{2N} - (o_N + o'_N)/2`, and beta.
    """

    def trained(start: Neuron) -> Observed:
        count = len(start.w)
        neurons = Population(start, jnp.full(count, 1 / count))
        observed = together(training, neurons, jnp.zeros(training.active))[1].observed
        return jax.vmap(functions)(observed)

    def one(start: Neuron) -> tuple[Observed, Observed]:
        half = len(start.w) // 2
        whole = trained(start)
        parts = jax.vmap(trained)(jax.tree.map(lambda a: a.reshape(2, half, *a.shape[1:]), start))
        mean = jax.tree.map(lambda a: a.mean(axis=0), parts)
        extrapolated = jax.tree.map(lambda a, b: 2 * a - b, whole, mean)
        shift = jax.tree.map(lambda a, b: -2 * half * (a - b), whole, mean)
        return extrapolated, shift

    return jax.tree.map(lambda a: a.mean(axis=0), jax.vmap(one)(starts))
