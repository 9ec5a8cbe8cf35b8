"""The standard mixtures of the literature, by their few parameters."""

from collections.abc import Sequence

import numpy as np

from orderparam.errors import InvalidProblem
from orderparam.mixtures.model.mixture import GaussianMixture, gaussian_mixture
from orderparam.mixtures.model.spectrum import Diagonal
from orderparam.support.arguments import (
    integer,
    one_of,
    positive,
    probability,
    real,
    reals,
    refuse,
    sequence,
    truth,
)
from orderparam.support.arrays import array
from orderparam.support.keywords import known_keywords
from orderparam.support.memory import require_numbers

STEEPEST = 20.0
"""Largest exponent of a spectrum that falls as a power; more would leave the finite numbers."""


@known_keywords
def blocks(
    variances: Sequence[float],
    fractions: Sequence[float] = (1.0,),
    positive_weight: float = 0.5,
    informative: Sequence[bool] | None = None,
    negative_variances: Sequence[float] | None = None,
) -> GaussianMixture:
    r"""Two opposite clusters $\pm\mu$ with Gaussian $\mu$ and blocks of coordinates.

    A fraction `fractions[r]` of coordinates has variance `variances[r]`; where the block is
    informative the mean has entries N(0, 1)/sqrt(d), elsewhere 0.

    Args:
        variances: Variance in each block.
        fractions: Share of each block; they sum to 1.
        positive_weight: Probability of the cluster at +mu (y = +1), between 0 and 1.
        informative: Which blocks carry the mean; all by default.
        negative_variances: Variances of the cluster at -mu where they differ.

    Raises:
        InvalidProblem: If a value is outside its range.
    """
    shares, plus = array("fractions", fractions, (1,)), array("variances", variances, (1,))
    minus = plus
    if negative_variances is not None:
        minus = array("negative_variances", negative_variances, (1,))
    carried = np.ones(len(shares))
    if informative is not None:
        flags = sequence("informative", informative, "booleans")
        carried = np.array([truth("informative", flag) for flag in flags], dtype=float)
    if not shares.shape == plus.shape == minus.shape == carried.shape:
        raise InvalidProblem(
            f"Blocks need one variance and one fraction each, but there are {plus.size} variances, "
            f"{minus.size} negative variances, {shares.size} fractions and {carried.size} flags; "
            "give as many of each."
        )
    if np.any(plus < 0) or np.any(minus < 0) or np.any(shares <= 0) or abs(shares.sum() - 1) > 1e-8:
        raise InvalidProblem(
            f"Variances must be at least 0 and fractions positive with sum 1, but they are "
            f"{plus.tolist()}, {minus.tolist()} and {shares.tolist()} (sum {shares.sum():g}); "
            "change them."
        )
    positive_weight = probability("positive_weight", positive_weight)
    spectrum = Diagonal(
        shares,
        np.stack([minus, plus], axis=1),
        np.zeros((len(shares), 2)),
        carried[:, None, None] * np.array([-1.0, 1.0])[None, :, None],
    )
    return GaussianMixture(
        spectrum, (1 - positive_weight, positive_weight), name="two opposite clusters"
    )


@known_keywords
def isotropic(
    clusters: int,
    variance: float = 0.5,
    geometry: str = "random",
    weights: Sequence[float] | None = None,
    labels: Sequence[int] | None = None,
) -> GaussianMixture:
    """Clusters of equal spherical covariance, with Gaussian means.

    Args:
        clusters: Number K of at least 2.
        variance: Variance of every coordinate, positive.
        geometry: `"random"`: independent means of norm 1, orthogonal in the limit; `"simplex"`:
            means of norm 1 at equal, largest possible angles.
        weights: Probabilities; equal by default.
        labels: Classes; each cluster its own by default.

    Raises:
        InvalidProblem: If a value is outside its range.
    """
    clusters = integer("clusters", clusters, 2)
    variance = positive("variance", variance)
    geometry = one_of("geometry", geometry, ("random", "simplex"))
    require_numbers("clusters", 4 * clusters**2)
    loadings = np.eye(clusters)
    if geometry == "simplex":
        loadings = (loadings - 1 / clusters) * np.sqrt(clusters / (clusters - 1))
    spectrum = Diagonal(
        np.ones(1), np.full((1, clusters), variance), np.zeros((1, clusters)), loadings[None]
    )
    return GaussianMixture(spectrum, weights, labels, f"{clusters} {geometry} clusters")


@known_keywords
def anisotropic(
    dimension: int = 300,
    traces: Sequence[float] = (0.6, 0.4, 0.8),
    decay: float = 0.6,
    weights: Sequence[float] | None = None,
    seed: int = 0,
) -> GaussianMixture:
    """Clusters whose covariances have power-law spectra in random bases of their own.

    The covariances do not commute; means are random of norm about 1.

    Args:
        dimension: Number of coordinates.
        traces: `tr(Sigma_k)/d` of each cluster, positive.
        decay: Exponent of the spectra.
        weights: Probabilities; equal by default.
        seed: Of bases and means.

    Raises:
        InvalidProblem: If a value is outside its range.
    """
    sizes = np.array(reals("traces", traces, positive))
    if len(sizes) < 2:
        raise refuse("traces", traces, "two or more positive numbers", "give one for each cluster")
    dimension = integer("dimension", dimension, 2)
    decay = real("decay", decay, -STEEPEST, STEEPEST)
    require_numbers("dimension", (len(sizes) + 3) * dimension**2)
    generator = np.random.default_rng(integer("seed", seed, 0))
    values = np.arange(1, dimension + 1.0) ** -decay
    values = values / values.mean()
    covariances = []
    for size in sizes:
        basis = np.linalg.qr(generator.standard_normal((dimension, dimension)))[0]
        covariances.append((basis * (size * values)) @ basis.T)
    means = generator.standard_normal((len(sizes), dimension)) / np.sqrt(dimension)
    return gaussian_mixture(means, np.stack(covariances), weights, name="non-commuting clusters")
