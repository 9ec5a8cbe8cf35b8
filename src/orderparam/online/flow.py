"""The equations of motion: from Gaussian averages to the velocity of the overlaps."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from orderparam.online.committee import erf_moments, relu_moments
from orderparam.online.moments import Fixed, Moments, State, quadratic_moments

MOMENTS = {"quadratic": quadratic_moments, "erf": erf_moments, "relu": relu_moments}


class Rule(eqx.Module):
    """The training rule.

    Args:
        learning_rate: Effective eta, 1/(1 - momentum) times the nominal one.
        noise: Weight of the SGD-noise term: 1/batch size, or 0 in gradient flow.
        second_layer_rate: Effective eta_a/kappa^2, for A = a/kappa.
        weight_decay: gamma.
        activation: Name of the activation.
        spherical: Whether the students' norms are held.
    """

    learning_rate: Float[Array, ""]
    noise: Float[Array, ""]
    second_layer_rate: Float[Array, ""]
    weight_decay: Float[Array, ""]
    activation: str = eqx.field(static=True)
    spherical: bool = eqx.field(static=True)


def rule_of(problem: Any, sgd_noise: bool = True) -> Rule:
    """The rule of a problem; without `sgd_noise` the eta^2 term is left out."""
    gain = 1.0 / (1.0 - problem.momentum)
    return Rule(
        learning_rate=jnp.asarray(problem.learning_rate * gain),
        noise=jnp.asarray(1.0 / problem.batch_size if sgd_noise else 0.0),
        second_layer_rate=jnp.asarray(problem.second_layer_rate * gain / problem.kappa[0] ** 2),
        weight_decay=jnp.asarray(problem.weight_decay),
        activation=problem.activation,
        spherical=problem.spherical,
    )


def fixed_of(problem: Any, T: Float[Array, "*draw teacher teacher"]) -> Fixed:
    """What stays constant in a run of the problem with the teacher overlaps T."""
    return Fixed(
        T=T,
        B=jnp.asarray(problem.B),
        label_noise=jnp.asarray(problem.label_noise),
        offset=jnp.asarray(problem.offset),
        shift=jnp.asarray(problem.shift),
        population=problem.centering == "population",
    )


def moments(state: State, fixed: Fixed, activation: str) -> Moments:
    """The Gaussian averages for an activation."""
    return MOMENTS[activation](state, fixed)


def velocity(t: Any, state: State, args: tuple[Fixed, Rule]) -> State:
    r"""Time derivative of Q, M and A.

    dM = -eta A_k E[e s' nu],  dQ = -eta (A_k E[e s' lambda] + transpose)
    + (eta^2/n) A_k A_l E[e^2 s' s'],  dA = -eta_a/kappa^2 E[e s]; then weight decay and, for
    spherical students, the projection that keeps Q_kk.

    Cost: O((p + p*)^3) for the quadratic activation, O(p^2 (p + p*)^2) for erf and ReLU.
    Source: online.md sections 2.3, 8, 9.
    """
    del t
    fixed, rule = args
    average = moments(state, fixed, rule.activation)
    eta, A = rule.learning_rate, state.A
    pull = A[:, None] * average.student
    dM = -eta * A[:, None] * average.teacher - rule.weight_decay * state.M
    dQ = -eta * (pull + pull.T) + eta**2 * rule.noise * (A[:, None] * A * average.square)
    dQ = dQ - 2 * rule.weight_decay * state.Q
    dA = -rule.second_layer_rate * average.readout
    if rule.spherical:
        growth = jnp.diagonal(dQ) / jnp.diagonal(state.Q)
        dQ = dQ - 0.5 * state.Q * (growth[:, None] + growth)
        dM = dM - 0.5 * state.M * growth[:, None]
    return State((dQ + dQ.T) / 2, dM, dA)


@eqx.filter_jit
def population_loss(states: State, fixed: Fixed, activation: str) -> Float[Array, " point"]:
    """E[e^2]/2 without label noise at many states; T has the same leading axis."""
    at = jax.vmap(lambda s, T: moments(s, eqx.tree_at(lambda f: f.T, fixed, T), activation).loss)
    return at(states, fixed.T)
