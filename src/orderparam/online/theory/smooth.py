"""Moments of any smooth activation: quadrature for the drift, frozen random points for SGD noise.

Averages of two pre-activations with correlation rho are `sum_n a_n b_n rho^n` with the coefficients
of both functions in normalised Hermite polynomials (Mehler's formula), which Gauss-Hermite
quadrature gives from values at the nodes alone.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from orderparam.engine.normals import draw_normals
from orderparam.numerics.activations import Activation
from orderparam.numerics.linear import cholesky
from orderparam.online.theory.committee import assembled, joint
from orderparam.online.theory.moments import Fixed, Moments, State
from orderparam.support.later import special

NODES = 96
"""Nodes of the quadrature, and number of Hermite coefficients."""

COARSE = 64
"""Nodes of the coarser rule by which the quadrature's error is estimated."""

_BLOCK = 64


class Pairs(NamedTuple):
    """Averages over pairs of pre-activations.

    Args:
        two: E[s(u_i) s(u_j)].
        slopes: E[s'(u_i) s'(u_j)].
        curvature: E[s''(u_i) s(u_j)], by Stein's lemma from s' alone.
    """

    two: Float[Array, "unit unit"]
    slopes: Float[Array, "unit unit"]
    curvature: Float[Array, "unit unit"]


@lru_cache(maxsize=8)
def hermite_rule(nodes: int) -> tuple[Float[np.ndarray, " node"], Float[np.ndarray, "order node"]]:
    """Nodes, and the normalised Hermite polynomials there times the weights of the normal law."""
    z, w = special.roots_hermitenorm(nodes)
    rows = [np.ones_like(z), z]
    for n in range(1, nodes - 1):
        rows.append((z * rows[n] - np.sqrt(n) * rows[n - 1]) / np.sqrt(n + 1))
    return z, np.stack(rows[:nodes]) * w / w.sum()


def pair_averages(
    C: Float[Array, "unit unit"], activation: Activation, nodes: int = NODES
) -> Pairs:
    """All averages of pairs for the covariance C.

    Cost: `nodes` values of s and s' for each unit, O(unit^2 nodes) sums. Source: Mehler (1866).
    """
    z, basis = hermite_rule(nodes)
    size = jnp.sqrt(jnp.maximum(jnp.diagonal(C), 1e-30))
    h = size[:, None] * z
    a, b = activation(h) @ basis.T, activation.derivative(h) @ basis.T
    rho = jnp.clip(C / (size[:, None] * size), -1.0, 1.0)[:, :, None]
    ones = jnp.ones((*C.shape, 1))
    powers = jnp.cumprod(jnp.concatenate([ones, jnp.repeat(rho, nodes - 1, 2)], 2), 2)
    # E[s''(u) He_n] = E[s'(u) He_{n+1}]/size, from integration by parts.
    rise = b[:, 1:] * np.sqrt(np.arange(1, nodes)) / size[:, None]
    return Pairs(
        jnp.einsum("in,jn,ijn->ij", a, a, powers),
        jnp.einsum("in,jn,ijn->ij", b, b, powers),
        jnp.einsum("in,jn,ijn->ij", rise, a[:, :-1], powers[:, :, :-1]),
    )


def generic_loss(
    state: State, fixed: Fixed, activation: Activation, nodes: int = NODES
) -> Float[Array, ""]:
    """E[e^2]/2 without label noise."""
    C, c = joint(state, fixed)
    return c @ pair_averages(C, activation, nodes).two @ c / 2


def generic_moments(
    state: State,
    fixed: Fixed,
    activation: Activation,
    normals: Float[Array, "point unit"],
    nodes: int = NODES,
) -> Moments:
    """Moments for a smooth s: exact up to quadrature, but for E[e^2 s' s'], a mean over points.

    Args:
        state: Covariances of the pre-activations.
        fixed: Teacher and label noise.
        activation: s.
        normals: Standard normals of p* + p coordinates, the same for the whole run.
        nodes: Nodes of the quadrature.

    Source: docs/theory/online.md, General activations.
    """
    C, _ = joint(state, fixed)
    p = len(state.A)
    pairs = pair_averages(C, activation, nodes)
    order = np.roll(np.arange(len(C)), -p)  # the teacher's points stay where they are
    u = normals @ cholesky(C[order][:, order]).T
    q = len(order) - p
    e = activation(u[:, q:]) @ state.A - activation(u[:, :q]) @ fixed.B
    s = activation.derivative(u[:, q:])
    square = (e[:, None] ** 2 * s).T @ s / len(normals)
    return assembled(state, fixed, pairs.two, pairs.slopes[:p], pairs.curvature[:p], square)


def frozen_normals(
    seed: int, replicate: int, samples: int, units: int
) -> Float[np.ndarray, "point unit"]:
    """Quasi-random standard normals (scrambled Sobol) of one replicate."""
    blocks = -(-units // _BLOCK) * _BLOCK
    return draw_normals((seed, replicate), 0, blocks, samples)[:units].T.copy()


@eqx.filter_jit
def drift_errors(
    states: State,
    teachers: tuple[Float[Array, "point teacher teacher"], ...],
    fixed: Fixed,
    activation: Activation,
) -> Float[Array, " point"]:
    """Changes of loss and drift from the coarser quadrature to the finer, relative to outputs.

    Args:
        states: Covariances at some points.
        teachers: Those of the teacher there.
        fixed: What all points share.
        activation: s.
    """

    def at(point: tuple[State, tuple[Any, ...]]) -> Float[Array, ""]:
        state, own = point[0], fixed.with_teachers(point[1])
        (C, c), p = joint(state, own), len(state.A)
        values = []
        for nodes in (NODES, COARSE):
            two, slopes, curvature = pair_averages(C, activation, nodes)
            found = assembled(state, own, two, slopes[:p], curvature[:p], jnp.zeros((p, p)))
            scale = jnp.abs(c) @ jnp.abs(two) @ jnp.abs(c)
            values.append((found.loss / scale, found.student / scale, found.teacher / scale))
        changes = [jnp.abs(fine - coarse).max() for fine, coarse in zip(*values, strict=True)]
        return jnp.stack(changes).max()

    return jax.lax.map(at, (states, teachers))
