"""Committee machines: moments from the Gaussian integrals of an activation."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from orderparam.online.erf import ERF
from orderparam.online.moments import Fixed, Moments, State
from orderparam.online.relu import RELU

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


def committee_moments(state: State, fixed: Fixed, integrals: Integrals) -> Moments:
    """Moments of student minus teacher as sums over all units, students first.

    Cost: O(p^2 (p + p*)^2) integrals. Source: Saad & Solla (1995); online.md section 8.
    """
    p, q = state.M.shape
    units, students = np.arange(p + q), np.arange(p)
    C = jnp.block([[state.Q, state.M], [state.M.T, fixed.T]])
    c = jnp.concatenate([state.A, -fixed.B])
    two = integrals.two(C, units[:, None], units)
    slopes = integrals.slopes(C, students[:, None], units)
    curvature = integrals.curvature(C, students[:, None], units) @ c
    response = slopes * c + jnp.pad(jnp.diag(curvature), ((0, 0), (0, q)))
    pull = response @ C
    four = integrals.four(C, *np.ix_(students, students, units, units)) @ c @ c
    return Moments(
        loss=c @ two @ c / 2,
        response=response,
        student=pull[:, :p],
        teacher=pull[:, p:],
        square=four + fixed.label_noise * slopes[:, :p],
        readout=two[:p] @ c,
    )


def erf_moments(state: State, fixed: Fixed) -> Moments:
    """Moments for s(u) = erf(u/sqrt 2)."""
    return committee_moments(state, fixed, Integrals(*ERF))


def relu_moments(state: State, fixed: Fixed) -> Moments:
    """Moments for s(u) = max(0, u)."""
    return committee_moments(state, fixed, Integrals(*RELU))
