"""The equations of motion: from Gaussian averages to the velocity of the overlaps."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from orderparam.numerics.activations import Activation
from orderparam.online.model.schedule import RateFactor, factor_of
from orderparam.online.problem import TeacherStudent
from orderparam.online.theory.committee import erf_moments, relu_moments
from orderparam.online.theory.moments import Bins, Fixed, Moments, State, quadratic_moments
from orderparam.online.theory.smooth import generic_loss, generic_moments
from orderparam.support.plain_methods import PlainMethods

MOMENTS = {"quadratic": quadratic_moments, "erf_scaled": erf_moments, "relu": relu_moments}


class Rule(PlainMethods, eqx.Module):
    """The training rule.

    Args:
        learning_rate: Effective eta, 1/(1 - momentum) times the nominal one.
        noise: Weight of the SGD-noise term: 1/batch size, or 0 in gradient flow.
        second_layer_rate: Effective eta_a/kappa^2, for A = a/kappa.
        weight_decay: gamma.
        activation: The activation.
        spherical: Whether the students' norms are held.
        schedule: Factor of both learning rates in time, if they change.
    """

    learning_rate: Float[Any, ""]
    noise: Float[Any, ""]
    second_layer_rate: Float[Any, ""]
    weight_decay: Float[Any, ""]
    activation: str | Activation = eqx.field(static=True)
    spherical: bool = eqx.field(static=True)
    schedule: RateFactor | None = None

    def rates(self, t: Any) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Learning rates of the first and of the second layer at time t."""
        if self.schedule is None:
            return self.learning_rate, self.second_layer_rate
        factor = self.schedule(t)
        return factor * self.learning_rate, factor * self.second_layer_rate


def rule_of(problem: TeacherStudent, sgd_noise: bool = True) -> Rule:
    """The rule of a problem; without `sgd_noise` the eta^2 term is left out."""
    gain = 1.0 / (1.0 - problem.momentum)
    return Rule(
        learning_rate=np.asarray(problem.learning_rate * gain),
        noise=np.asarray(1.0 / problem.batch_size if sgd_noise else 0.0),
        second_layer_rate=np.asarray(problem.second_layer_rate * gain / problem.kappa[0] ** 2),
        weight_decay=np.asarray(problem.weight_decay),
        activation=problem.activation,
        spherical=problem.spherical,
        schedule=factor_of(problem.schedule, problem.duration),
    )


def fixed_of(
    problem: TeacherStudent, T: Float[Any, "*draw teacher teacher"], bins: Bins | None = None
) -> Fixed:
    """What stays constant in a run of the problem with the teacher's covariances T."""
    return Fixed(
        T=T,
        bins=bins,
        B=np.asarray(problem.B),
        label_noise=np.asarray(problem.label_noise),
        offset=np.asarray(problem.offset),
        shift=np.asarray(problem.shift),
        population=problem.centering == "population",
    )


def bins_of(problem: TeacherStudent) -> Bins | None:
    """The bins of structured inputs, with the teacher's overlaps of all draws."""
    spectrum = problem.spectrum
    if spectrum is None:
        return None
    parts = (spectrum.variances, spectrum.fractions, problem.start.flat().T)
    return Bins(*(np.asarray(part) for part in parts))


def moments(state: State, fixed: Fixed, activation: str | Activation) -> Moments:
    """The Gaussian averages for an activation, of the covariances of the pre-activations."""
    if isinstance(activation, str):
        return MOMENTS[activation](state, fixed)
    assert fixed.normals is not None
    return generic_moments(state, fixed, activation, fixed.normals)


def loss_at(state: State, fixed: Fixed, activation: str | Activation) -> Float[Array, ""]:
    """E[e^2]/2 without label noise."""
    if isinstance(activation, str):
        return MOMENTS[activation](state, fixed).loss
    return generic_loss(state, fixed, activation)


def pulls(
    state: State, fixed: Fixed, activation: str | Activation
) -> tuple[Float[Array, "..."], ...]:
    """E[e s' lambda], E[e s' nu], E[e^2 s' s'] |x|^2/N, each from a bin's inputs; and E[e s].

    The part of a pre-activation that comes from the coordinates of bin b has covariances s_b Q_b
    and s_b M_b with the pre-activations, and |x_b|^2/N is s_b phi_b.
    """
    average, bins = moments(fixed.preactivations(state), fixed, activation), fixed.bins
    if bins is None:
        return average.student, average.teacher, average.square, average.readout
    p = len(state.A)
    own, others = average.response[:, :p], average.response[:, p:]
    variances = bins.variances[:, None, None]
    student = variances * (own @ state.Q + others @ _turned(state.M))
    teacher = variances * (own @ state.M + others @ bins.T)
    square = variances * bins.fractions[:, None, None] * average.square
    return student, teacher, square, average.readout


def velocity(t: Any, state: State, args: tuple[Fixed, Rule]) -> State:
    r"""Time derivative of Q, M and A.

    dM = -eta A_k E[e s' nu],  dQ = -eta (A_k E[e s' lambda] + transpose)
    + (eta^2/n) A_k A_l E[e^2 s' s'],  dA = -eta_a/kappa^2 E[e s]; then weight decay and, for
    spherical students, the projection that keeps Q_kk.

    Cost: O((p + p*)^3) for the quadratic activation, O(p^2 (p + p*)^2) for erf and ReLU.
    Source: docs/theory/online.md, Equations of motion, Variants, Structured inputs.
    """
    fixed, rule = args
    student, teacher, square, readout = pulls(state, fixed, rule.activation)
    (eta, eta_a), A = rule.rates(t), state.A
    pull = A[:, None] * student
    dM = -eta * A[:, None] * teacher - rule.weight_decay * state.M
    dQ = -eta * (pull + _turned(pull)) + eta**2 * rule.noise * (A[:, None] * A * square)
    dQ = dQ - 2 * rule.weight_decay * state.Q
    if rule.spherical:
        growth = _lengths(dQ) / _lengths(state.Q)
        dQ = dQ - 0.5 * state.Q * (growth[:, None] + growth)
        dM = dM - 0.5 * state.M * growth[:, None]
    return State((dQ + _turned(dQ)) / 2, dM, -eta_a * readout)


def _turned(parts: Float[Array, "*bin row unit"]) -> Float[Array, "*bin unit row"]:
    return jnp.swapaxes(parts, -1, -2)


def _lengths(Q: Float[Array, "*bin student student"]) -> Float[Array, " student"]:
    """Diagonal, summed over bins."""
    diagonal = jnp.diagonal(Q, axis1=-2, axis2=-1)
    return diagonal if diagonal.ndim == 1 else diagonal.sum(axis=0)


@eqx.filter_jit
def population_loss(
    states: State, fixed: Fixed, activation: str | Activation
) -> Float[Array, " point"]:
    """E[e^2]/2 without label noise at many states; T has the same leading axis."""

    def at(point: tuple[State, tuple[Float[Array, "..."], ...]]) -> Float[Array, ""]:
        return loss_at(point[0], fixed.with_teachers(point[1]), activation)

    # Parts stay in fast memory; quadrature keeps powers of all correlations beside them.
    size = 1024 if isinstance(activation, str) else 256
    return jax.lax.map(at, (states, fixed.teachers()), batch_size=size)
