"""Averages of an activation at two correlated Gaussians, to known accuracy at every scale.

    E[phi(u) phi(v)]  and  E[phi'(u) phi'(v)],   (u, v) ~ N(0, K)

By a closed form where one is known. Else by Mehler's formula, sum_k c_k(u) c_k(v) rho^k with
c_k(u) = E[phi(s_u n) He_k(n)]/sqrt(k!): one quadrature for each variable, not for each pair, and
the bound |rho|^K sqrt(R_u R_v) on what K terms leave, R = E[phi^2] - sum_k c_k^2. Pairs whose bound
is too large (a saturated activation at nearly parallel inputs) are integrated in polar coordinates.
"""

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from orderparam.numerics.activations import Activation, values_and_slopes
from orderparam.numerics.closed_forms import angles, closed_form
from orderparam.numerics.polar import ACCURATE, Matrix, Vector, integrate_hard_pairs, relative

TERMS = 128
"""Largest number of terms of Mehler's formula."""

_RANGE, _PANELS = 10.0, 12


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
        errors.append(relative(np.abs(others**2 @ check[1] - size), size))
        total, rest = _mehler(values, size, np.cos(angle))
        found.append(total)
        left = np.maximum(left, rest)
    errors.append(integrate_hard_pairs(activation, scale, angle, left, found))
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
            share = np.sqrt(relative(rest, size))
            left = np.outer(share, share) * np.abs(power)
            # Equal variables are as easy as one, and are put in below.
            np.fill_diagonal(left, 0.0)
            if left.max() <= ACCURATE:
                break
        before, last = last, (nodes * last - np.sqrt(k) * before) / np.sqrt(k + 1)
    np.fill_diagonal(total, size)
    return total, left


@lru_cache(maxsize=4)
def _rule(count: int) -> tuple[Vector, Vector]:
    """Nodes and weights of the standard normal law, in panels that halve towards 0."""
    x, w = np.polynomial.legendre.leggauss(count)
    ends = _RANGE * np.append(2.0 ** -np.arange(_PANELS), 0.0)
    half = np.concatenate([(a + b) / 2 + (a - b) / 2 * x for a, b in pairwise(ends)])
    weight = np.concatenate([(a - b) / 2 * w for a, b in pairwise(ends)])
    weight = weight * np.exp(-(half**2) / 2)
    return np.concatenate([half, -half]), np.concatenate([weight, weight]) / (2 * weight.sum())
