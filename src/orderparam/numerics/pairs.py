"""Averages of an activation at two correlated Gaussians, to known accuracy at every scale.

    E[phi(u) phi(v)]  and  E[phi'(u) phi'(v)],   (u, v) ~ N(0, K)

By a closed form where one is known. Else by Mehler's formula, sum_k c_k(u) c_k(v) rho^k with
c_k(u) = E[phi(s_u n) He_k(n)]/sqrt(k!): one quadrature for each variable, not for each pair, and
the bound |rho|^K sqrt(R_u R_v) on what K terms leave, R = E[phi^2] - sum_k c_k^2. Pairs whose bound
is too large (a saturated activation at nearly parallel inputs) are integrated in polar coordinates,
with nodes that gather doubly exponentially where u or v vanish: there a wide activation has its
step, and a homogeneous one its kink.
"""

import math
from functools import lru_cache, partial
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from orderparam.numerics.activations import Activation, values_and_slopes
from orderparam.numerics.closed_forms import angles, closed_form

TERMS = 128
"""Largest number of terms of Mehler's formula."""

ACCURATE = 1e-7
"""Error, relative to the size of both variables, above which a pair is integrated by itself."""

MOST = 20_000
"""Pairs that are integrated by themselves, the worst first; the others keep their bound."""

LEVELS = (32, 64, 128)
"""Nodes of a radius and of each part of the angles, tried in turn."""

SETTLED = 1e-4
"""Relative difference between two levels that ends the trials; where phi is smooth a level squares
the error of the one before, so that it is some 1e-8 then."""

_RANGE, _PANELS, _CHUNK = 10.0, 12, 64
Matrix = Float[np.ndarray, "row row"]
Vector = Float[np.ndarray, " row"]


class PairAverages(NamedTuple):
    """`E[phi(u) phi(v)]`, `E[phi'(u) phi'(v)]`, and the largest estimated relative error of both.

    The error of an entry is relative to `sqrt(E[phi(u)^2] E[phi(v)^2])`, and so for the slopes.
    """

    value: Matrix
    slope: Matrix
    error: float


def pair_averages(activation: Activation, covariance: Matrix) -> PairAverages:
    """Averages over all pairs of variables with a covariance.

    Args:
        activation: phi; its derivative is taken by JAX.
        covariance: K, symmetric and positive semidefinite up to rounding.

    Returns:
        Both matrices and their error: rounding for closed forms and smooth activations; what two
        rules differ by where an activation has kinks or steps away from 0.

    Cost: O(P^2 K) for P variables and K up to 128 terms; 2e4 to 4e5 evaluations of phi for each
    pair that needs an integral of its own.

    Source: Mehler (1866); docs/theory/kernels.md, Kernels at initialisation.
    """
    known = closed_form(activation)
    if known is not None:
        return PairAverages(*known(covariance), 0.0)
    scale, angle = angles(covariance)
    found, errors, left = [], [], np.zeros(angle.shape)
    fine, check = _rule(32), _rule(24)
    at_fine = values_and_slopes(activation, np.outer(scale, fine[0]))
    at_check = values_and_slopes(activation, np.outer(scale, check[0]))
    for values, others in zip(map(np.asarray, at_fine), map(np.asarray, at_check), strict=True):
        size = values**2 @ fine[1]
        errors.append(_relative(np.abs(others**2 @ check[1] - size), size))
        total, rest = _mehler(values, size, np.cos(angle))
        found.append(total)
        left = np.maximum(left, rest)
    errors.append(_integrate(activation, scale, angle, left, found))
    return PairAverages(found[0], found[1], float(max(np.max(e) for e in errors)))


def active_share(activation: Activation, variances: Float[np.ndarray, "*shape"]) -> float:
    """Smallest part of the points that carry the average of phi'(u)^2, u ~ N(0, variance).

    `E[phi'^2]^2 / E[phi'^4]`, the effective sample size of that average per sample: 1 for linear
    phi, 1/2 for max(0, h), and proportional to 1/s for a saturating phi at a large standard
    deviation s, where only points near 0 have a slope. 1 where phi' vanishes altogether.
    """
    nodes, weights = _rule(32)
    scale = np.sqrt(np.unique(np.maximum(variances, 0.0)))
    slopes = np.asarray(values_and_slopes(activation, np.outer(scale[[0, -1]], nodes))[1])
    second, fourth = slopes**2 @ weights, slopes**4 @ weights
    return float(np.min(np.where(fourth > 0, second**2 / np.where(fourth > 0, fourth, 1.0), 1.0)))


def _mehler(
    values: Float[np.ndarray, "row node"], size: Vector, rho: Matrix
) -> tuple[Matrix, Matrix]:
    """The sum of Mehler's formula, and a bound on the relative error of each pair."""
    nodes, weights = _rule(32)
    total, power = np.zeros_like(rho), np.ones_like(rho)
    rest, before, last = size.copy(), np.zeros_like(nodes), np.ones_like(nodes)
    left = np.ones_like(rho)
    for k in range(TERMS):
        c = values @ (weights * last)
        total += np.outer(c, c) * power
        power *= rho
        rest = np.maximum(rest - c**2, 0.0)
        if k % 8 == 7:  # a look costs as much as a term
            share = np.sqrt(_relative(rest, size))
            left = np.outer(share, share) * np.abs(power)
            # Equal variables are as easy as one, and are put in below.
            np.fill_diagonal(left, 0.0)
            if left.max() <= ACCURATE:
                break
        before, last = last, (nodes * last - np.sqrt(k) * before) / np.sqrt(k + 1)
    np.fill_diagonal(total, size)
    return total, left


def _integrate(
    activation: Activation, scale: Vector, angle: Matrix, left: Matrix, found: list[Matrix]
) -> float:
    """Replace the averages of hard pairs by integrals; returns the largest relative error then."""
    i, j = np.nonzero(np.triu(left > ACCURATE, 1))
    if not len(i):
        return float(left.max())
    worst = np.argsort(-left[i, j], kind="stable")
    given_up = float(left[i, j][worst[MOST:]].max(initial=0.0))
    i, j = i[worst[:MOST]], j[worst[:MOST]]
    sizes = [np.sqrt(np.diagonal(m)[i] * np.diagonal(m)[j]) for m in found]
    done, error = np.zeros((2, len(i))), np.full(len(i), np.inf)
    unsettled, before = np.arange(len(i)), None
    for level in LEVELS:
        at = unsettled
        now = _polar(activation, scale[i[at]], scale[j[at]], angle[i[at], j[at]], level)
        done[:, at] = now
        if before is not None:
            moved = [_relative(np.abs(now[n] - before[n]), sizes[n][at]) for n in range(2)]
            error[at] = np.maximum(*moved)
        still = error[at] > SETTLED
        unsettled, before = at[still], now[:, still]
        if not len(unsettled):
            break
    for matrix, values in zip(found, done, strict=True):
        matrix[i, j] = matrix[j, i] = values
    return max(given_up, float(error.max()))


def _relative(difference: Vector, size: Vector) -> Vector:
    return np.where(size > 0, difference / np.where(size > 0, size, 1.0), 0.0)


def _polar(
    activation: Activation, su: Vector, sv: Vector, angle: Vector, level: int
) -> Float[np.ndarray, "two pair"]:
    """Both averages of some pairs, a fixed number of pairs at a time."""
    count = len(su)
    # Powers of two, so that few shapes are compiled.
    room = _CHUNK * 2 ** max(0, math.ceil(math.log2(count / _CHUNK)))
    padded = [np.resize(a, room) for a in (su, sv, angle)]
    rows = jnp.asarray(np.stack(padded, axis=1).reshape(-1, _CHUNK, 3))
    parts = _polar_chunks(activation, rows, _radii(level), _quarter(level))
    return np.asarray(parts).reshape(-1, 2)[:count].T


@partial(jax.jit, static_argnums=0)
def _polar_chunks(
    activation: Activation,
    rows: Float[Array, "chunk pair 3"],
    radii: tuple[Array, Array],
    quarter: tuple[Array, Array, Array],
) -> Float[Array, "chunk pair 2"]:
    """With u = s_u r cos(t) and v = s_v r cos(t - t_0), parts end where u or v vanish."""
    (r, wr), (x, rest, wx) = radii, quarter

    signs = jnp.array([[1, -1, -1, 1], [1, -1, 1, -1]])[:, :, None, None]

    def pair(row: Array) -> Array:
        su, sv, angle = row
        length = jnp.stack([jnp.pi - angle, jnp.pi - angle, angle, angle])
        reach = length[:, None, None]
        u = signs[0] * su * r[:, None] * jnp.sin(reach * rest)
        v = signs[1] * sv * r[:, None] * jnp.sin(reach * x)
        both = zip(values_and_slopes(activation, u), values_and_slopes(activation, v), strict=True)
        return jnp.stack([length @ (wr @ (a * b) @ wx) for a, b in both]) / (2 * jnp.pi)

    return lax.map(jax.vmap(pair), rows)


@lru_cache(maxsize=4)
def _radii(count: int) -> tuple[Vector, Vector]:
    """Nodes of a radius r > 0 and weights of the law r exp(-r^2/2), gathered towards 0."""
    t = np.linspace(-2.4, 2.3, count)
    r = np.exp(t - np.exp(-t))
    return r, (t[1] - t[0]) * (1 + np.exp(-t)) * r**2 * np.exp(-(r**2) / 2)


@lru_cache(maxsize=4)
def _quarter(count: int) -> tuple[Vector, Vector, Vector]:
    """Nodes x of [0, 1] gathered towards both ends, 1 - x without cancellation, and weights."""
    t = np.linspace(-3.2, 3.2, count)
    bent = np.pi * np.sinh(t)
    x, rest = 1 / (1 + np.exp(-bent)), 1 / (1 + np.exp(bent))
    return x, rest, (t[1] - t[0]) * np.pi * np.cosh(t) * x * rest


@lru_cache(maxsize=4)
def _rule(count: int) -> tuple[Vector, Vector]:
    """Nodes and weights of the standard normal law, in panels that halve towards 0."""
    x, w = np.polynomial.legendre.leggauss(count)
    ends = _RANGE * np.append(2.0 ** -np.arange(_PANELS), 0.0)
    half = np.concatenate([(a + b) / 2 + (a - b) / 2 * x for a, b in pairwise(ends)])
    weight = np.concatenate([(a - b) / 2 * w for a, b in pairwise(ends)])
    weight = weight * np.exp(-(half**2) / 2)
    return np.concatenate([half, -half]), np.concatenate([weight, weight]) / (2 * weight.sum())
