"""Committee machines: moments from the Gaussian integrals of an activation."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from orderparam.online.theory.erf import ERF
from orderparam.online.theory.moments import Fixed, Moments, State
from orderparam.online.theory.relu import RELU

Gram = Float[Array, "unit unit"]
Index = Int[np.ndarray, "..."]


class Integrals(NamedTuple):
    """Averages over Gaussian u with covariance C, entry by entry of the index arrays.

    Args:
        two: (C, i, j) -> E[s(u_i) s(u_j)].
        curvature: (C, i, k) -> E[s''(u_i) s(u_k)].
        four: (C, i, j, k, l) -> E[s'(u_i) s'(u_j) s(u_k) s(u_l)].
        slopes: (C, i, j) -> E[s'(u_i) s'(u_j)].
    """

    two: Callable[..., Float[Array, "..."]]
    curvature: Callable[..., Float[Array, "..."]]
    four: Callable[..., Float[Array, "..."]]
    slopes: Callable[..., Float[Array, "..."]]


def joint(state: State, fixed: Fixed) -> tuple[Gram, Float[Array, " unit"]]:
    """Covariance of all pre-activations, students first, and their weights in the error."""
    C = jnp.block([[state.Q, state.M], [state.M.T, fixed.T]])
    return C, jnp.concatenate([state.A, -fixed.B])


def assembled(
    state: State,
    fixed: Fixed,
    two: Float[Array, "unit unit"],
    slopes: Float[Array, "student unit"],
    curvature: Float[Array, "student unit"],
    square: Float[Array, "student student"],
) -> Moments:
    """Moments of student minus teacher as sums over all units.

    Args:
        state: Covariances and second layer.
        fixed: Teacher and label noise.
        two: E[s(u_i) s(u_j)].
        slopes: E[s'(u_k) s'(u_j)].
        curvature: E[s''(u_k) s(u_j)].
        square: E[e^2 s'(u_k) s'(u_l)] without label noise.
    """
    C, c = joint(state, fixed)
    p, q = state.M.shape
    response = slopes * c + jnp.pad(jnp.diag(curvature @ c), ((0, 0), (0, q)))
    pull = response @ C
    return Moments(
        loss=c @ two @ c / 2,
        response=response,
        student=pull[:, :p],
        teacher=pull[:, p:],
        square=square + fixed.label_noise * slopes[:, :p],
        readout=two[:p] @ c,
    )


def committee_moments(state: State, fixed: Fixed, integrals: Integrals) -> Moments:
    """Moments from closed integrals.

    Cost: O(p^2 (p + p*)^2) integrals. Source: Saad & Solla (1995); docs/theory/online.md,
    General activations.
    """
    C, c = joint(state, fixed)
    units, students = np.arange(len(c)), np.arange(len(state.A))
    two = integrals.two(C, units[:, None], units)
    slopes = integrals.slopes(C, students[:, None], units)
    curvature = integrals.curvature(C, students[:, None], units)
    four = integrals.four(C, *np.ix_(students, students, units, units)) @ c @ c
    return assembled(state, fixed, two, slopes, curvature, four)


def erf_moments(state: State, fixed: Fixed) -> Moments:
    """Moments for s(u) = erf(u/sqrt 2)."""
    return committee_moments(state, fixed, Integrals(*ERF))


def relu_moments(state: State, fixed: Fixed) -> Moments:
    """Moments for s(u) = max(0, u)."""
    return committee_moments(state, fixed, Integrals(*RELU))
