r"""From the influences of neurons to variances, contributions of layers and mean shifts.

An observable o has an influence psi_o(zeta) on it by each neuron, for each layer whose neurons are
random (`source`). At leading order in 1/N

    N Cov[o, o'] = sum over sources of E[psi_o psi_o'],   N (E[o_N] - o) = beta_o

and for a smooth function F of observables psi_F = dF psi and
beta_F = dF beta + 1/2 sum over sources of E[d^2 F (psi, psi)]. Nothing here knows of a depth.

Source: Bordelon & Pehlevan (2023); docs/theory/fluctuations.md, Influence functions, Functions of
observables.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from orderparam.fluctuations.theory.functions import Functions, Observed

SCATTERED = ("loss", "test_loss", "mse", "test_mse")
"""Functions of the predictions alone whose shift comes in part from the scatter of these."""


class Moments(NamedTuple):
    """Of every variable at one time: limit, N times the variance by source, N times the shift.

    `noise` is the part of the shift of losses that the scatter of predictions causes, 1/2 tr(d^2 F
    Sigma): averaging the predictions of E networks divides it by E, and leaves the rest.
    `covariance` is that of all times together.
    """

    limit: Observed
    variance: Observed
    shift: Observed | None
    noise: Observed | None = None
    covariance: Observed | None = None


def moments(
    derived: Functions,
    limit: Observed,
    psi: Observed,
    weights: Float[Array, " neuron"],
    shift: Observed | None,
) -> Moments:
    """Moments of all variables at one time.

    Args:
        derived: The variables as functions of the base observables.
        limit: The base observables, by name.
        psi: Influences on them, with leading axes (source, neuron).
        weights: Of the neurons in averages.
        shift: N times the mean shift of the base observables; `None` to leave shifts out.

    Returns:
        Limits of the variables; variances with a leading axis `source`; shifts.
    """
    value = derived(limit)

    def linear(direction: Observed) -> Observed:
        return jax.jvp(derived, (limit,), (direction,))[1]

    def squares(direction: Observed) -> Observed:
        return jax.tree.map(lambda a: a**2, linear(direction))

    def squares_and_bend(direction: Observed) -> tuple[Observed, Observed]:
        along = lambda base: jax.jvp(derived, (base,), (direction,))[1]  # noqa: E731
        first, second = jax.jvp(along, (limit,), (direction,))
        return jax.tree.map(lambda a: a**2, first), second

    def mean(function: Callable[[Observed], Any]) -> Any:
        """The average over neurons, for each source."""
        return jax.lax.map(
            lambda one: jax.tree.map(
                lambda a: jnp.tensordot(weights, a, axes=1), jax.vmap(function)(one)
            ),
            psi,
        )

    if shift is None:
        return Moments(value, mean(squares), None)
    variance, bend = mean(squares_and_bend)
    bend = jax.tree.map(lambda a: a.sum(axis=0) / 2, bend)
    noise = {name: bend[name] for name in SCATTERED if name in bend}
    return Moments(value, variance, jax.tree.map(jnp.add, linear(shift), bend), noise)
