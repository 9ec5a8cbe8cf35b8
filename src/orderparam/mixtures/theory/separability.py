"""When training data are linearly separable: the threshold in samples per dimension."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from orderparam.mixtures.model.losses import simplex
from orderparam.mixtures.model.mixture import GaussianMixture, checked_mixture, rotated_to_diagonal
from orderparam.mixtures.model.spectrum import Diagonal
from orderparam.numerics.gaussian import normal_density, sobol_normals
from orderparam.support.arguments import truth
from orderparam.support.keywords import known_keywords
from orderparam.support.later import optimize, special

_COMMON = 1e-12
_ROUNDING = 1e-14


@known_keywords
def separability_threshold(mixture: GaussianMixture, fit_bias: bool = True) -> float | None:
    r"""Samples per dimension below which the data are separable with high probability.

    Two opposite or general clusters of two classes with a common covariance: with
    `snr^2 = delta^T Sigma^-1 delta`, delta half the difference of the means,
    $1/\alpha^* = \min_{t, \beta} \sum_y \rho_y E(\sqrt{1+t^2}\,\xi - t\,snr - y \beta)_+^2$.
    K balanced spherical clusters of K classes: the distance of a Gaussian to a cone, see
    `multiclass_threshold`.

    Args:
        mixture: The law of the data.
        fit_bias: Whether the separating plane may have an offset.

    Returns:
        The threshold, infinite for clusters without noise, or `None` where no formula is known
        (unequal covariances): there the vanishing of the hard margin shows it.

    Source: docs/theory/mixtures.md, Separability; for no signal the threshold is Cover's 2.
    """
    mixture = rotated_to_diagonal(checked_mixture(mixture))
    fit_bias = truth("fit_bias", fit_bias)
    spectrum = mixture.spectrum
    if not isinstance(spectrum, Diagonal) or not _common(spectrum):
        return None
    if mixture.clusters == mixture.classes == 2:
        if not fit_bias and not _opposite(spectrum):
            return None
        half = np.array([-0.5, 0.5])
        square = spectrum.shares @ ((half @ spectrum.gram() @ half) / spectrum.variances[:, 0])
        return two_class_threshold(float(np.sqrt(square)), float(mixture.weights[1]), fit_bias)
    return multiclass_threshold(mixture)


@functools.lru_cache(maxsize=256)
def two_class_threshold(snr: float, positive_weight: float, fit_bias: bool = True) -> float:
    """The threshold of two classes from the signal-to-noise ratio alone."""
    rho = np.array([1 - positive_weight, positive_weight])
    y = np.array([-1.0, 1.0])

    def value(parameters: np.ndarray) -> float:
        t = np.exp(parameters[0]) if snr else 0.0
        beta = parameters[1] if fit_bias else 0.0
        mean, spread = -t * snr - y * beta, np.sqrt(1 + t**2)
        u = mean / spread
        square = (mean**2 + spread**2) * special.ndtr(u) + mean * spread * normal_density(u)
        return float(rho @ square)

    ends = [
        optimize.minimize(
            value, (start, 0.0), method="Nelder-Mead",
            options={"xatol": 1e-9, "fatol": 1e-15, "maxiter": 4000},
        )
        for start in (-1.0, 0.5, 2.0)
    ]  # fmt: skip
    least = min(end.fun for end in ends)
    # Below rounding of the minimiser: clusters (nearly) without noise are always separable.
    return 1 / least if least > _ROUNDING else np.inf


def multiclass_threshold(mixture: GaussianMixture) -> float | None:
    """Balanced spherical clusters at equal angles, each its own class.

    `1/alpha* = min_c E dist^2(c g P e_1 + sqrt(Delta (1 + c^2)) xi, C_1) / ((K - 1) Delta)`, with
    `C_1` the outputs that class 1 wins; scrambled Sobol points, relative error about 1e-4.
    """
    spectrum = mixture.spectrum
    assert isinstance(spectrum, Diagonal)
    K, overlaps = mixture.clusters, spectrum.overlaps()
    off = overlaps[~np.eye(K, dtype=bool)]
    spherical = np.ptp(spectrum.variances) <= _COMMON * spectrum.variances.max()
    symmetric = np.ptp(off) < 1e-9 and np.ptp(np.diag(overlaps)) < 1e-9
    if mixture.classes != K or not spherical or not symmetric or np.ptp(mixture.weights) > 1e-9:
        return None
    delta = float(spectrum.variances[0, 0])
    signal = np.sqrt(max(overlaps[0, 0] - off[0], 0.0))
    codes = simplex(K)
    xi = sobol_normals(K - 1, 17, 1)[0]

    def value(log_c: float) -> float:
        c = np.exp(log_c)
        z = (c * signal * codes[0] + np.sqrt(delta * (1 + c**2)) * xi) @ codes.T
        return _distance_to_first(z) / ((K - 1) * delta)

    best: Any = optimize.minimize_scalar(value, bounds=(-12.0, 6.0), method="bounded")
    return 1 / float(best.fun)


def _distance_to_first(z: np.ndarray) -> float:
    """Mean squared distance to the cone where the first entry is the largest.

    The projection pools the first entry with its largest competitors: it is the smallest level
    that is at least the mean of the first entry and all entries above the level.
    """
    first, rest = z[:, 0], -np.sort(-z[:, 1:], axis=1)
    counts = np.arange(1, z.shape[1])
    levels = (first[:, None] + np.cumsum(rest, axis=1)) / (counts + 1)
    level = np.maximum(first, levels.max(axis=1))
    over = np.maximum(rest - level[:, None], 0.0)
    return float(np.mean((level - first) ** 2 + np.sum(over**2, axis=1)))


def _common(spectrum: Diagonal) -> bool:
    """Whether all clusters have the same covariance, without null directions."""
    spread = np.ptp(spectrum.variances, axis=1)
    scale = spectrum.variances.max()
    return bool(np.all(spread <= _COMMON * scale) and spectrum.variances.min() > _COMMON * scale)


def _opposite(spectrum: Diagonal) -> bool:
    """Whether the two means are mu and -mu."""
    gram = spectrum.gram()
    return bool(np.allclose(gram.sum(axis=2), 0, atol=1e-12))


def bracketed_root(
    function: Callable[[float], float], low: float, high: float, tolerance: float
) -> float:
    """The root between two points of opposite sign, by Brent's method."""
    root: float = optimize.brentq(function, low, high, xtol=tolerance)  # type: ignore[assignment]
    return float(root)
