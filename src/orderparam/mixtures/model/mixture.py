"""Gaussian mixtures: the law of the data, and the ways to write one down."""

import hashlib
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int

from orderparam.errors import InvalidProblem
from orderparam.mixtures.model.checks import check_covariances, cluster_labels, cluster_weights
from orderparam.mixtures.model.spectrum import (
    FLOOR,
    CovarianceSpectrum,
    Diagonal,
    Full,
    diagonalised,
    scale_of,
    with_noise,
)
from orderparam.support.arguments import instance, refuse, text
from orderparam.support.arrays import Numbers, array
from orderparam.support.keywords import KnownKeywords, known_keywords
from orderparam.support.notices import notice
from orderparam.support.plain_methods import PlainMethods

_LONG_MEAN = 30.0
_FEW_DIRECTIONS = 50


class GaussianMixture(KnownKeywords, PlainMethods, eqx.Module):
    """Samples `x ~ N(mu_k, Sigma_k)` of cluster `k`, drawn with probability `weights[k]`.

    Means have norms of order 1 and covariances traces of order d; the estimator sees `x/sqrt(d)`.

    Args:
        spectrum: Means and covariances.
        weights: Probabilities of the clusters; positive, summing to 1.
        labels: Class of each cluster, 0 ... C - 1; each its own by default. With two classes the
            label is y = -1 for class 0 and y = +1 for class 1.
        name: A word or two for figures and tables.

    Raises:
        InvalidProblem: If weights, labels and spectrum do not fit.
    """

    spectrum: CovarianceSpectrum
    weights: Float[np.ndarray, " cluster"]
    labels: Int[np.ndarray, " cluster"]
    name: str = eqx.field(static=True)

    def __init__(
        self,
        spectrum: CovarianceSpectrum,
        weights: Numbers | None = None,
        labels: Numbers | None = None,
        name: str = "mixture",
    ) -> None:
        if not isinstance(spectrum, Diagonal | Full):
            allowed = "means and covariances of the library"
            advice = "build mixtures with functions such as orderparam.mixtures.gaussian_mixture"
            raise refuse("spectrum", spectrum, allowed, advice)
        self.spectrum = spectrum
        self.weights = cluster_weights(weights, spectrum.clusters)
        self.labels = cluster_labels(labels, spectrum.clusters)
        self.name = text("name", name)

    @property
    def clusters(self) -> int:
        """Number K of clusters."""
        return self.spectrum.clusters

    @property
    def classes(self) -> int:
        """Number C of classes."""
        return int(self.labels.max()) + 1

    def notes(self) -> list[str]:
        """What a reader of results on this mixture should know."""
        found = []
        if (self.spectrum.traces() <= 1.5 * FLOOR * scale_of(self.spectrum)).any():
            found.append(
                f"Clusters without noise were given {FLOOR:g} of the squared means as variance."
            )
        if isinstance(self.spectrum, Full) or len(self.spectrum.shares) > 20:
            spectrum = self.spectrum
            count = spectrum.dimension if isinstance(spectrum, Full) else len(spectrum.shares)
            rank = spectrum.effective_rank() * count
            if rank < _FEW_DIRECTIONS:
                found.append(
                    f"The effective rank (tr S)^2/tr S^2 is {rank:.0f}: few directions carry the "
                    "variance, so single samples fluctuate strongly around the theory."
                )
        return found

    def fingerprint(self) -> str:
        """SHA-256 of everything that decides results."""
        digest = hashlib.sha256()
        for part in (*_arrays(self.spectrum), self.weights, self.labels.astype(float)):
            digest.update(f"{part.shape};".encode() + part.astype("<f8").tobytes())
        return digest.hexdigest()

    def config(self) -> Mapping[str, Any]:
        """The mixture as plain values; large arrays enter by fingerprint."""
        return {
            "name": self.name,
            "kind": type(self.spectrum).__name__,
            "weights": self.weights.tolist(),
            "labels": self.labels.tolist(),
            "fingerprint": self.fingerprint(),
        }


def checked_mixture(value: Any) -> GaussianMixture:
    """The law of the data, refused where it is something else."""
    advice = "build one with orderparam.mixtures"
    return instance("mixture", value, GaussianMixture, advice)


@known_keywords
def gaussian_mixture(
    means: Numbers,
    covariances: Numbers,
    weights: Numbers | None = None,
    labels: Numbers | None = None,
    name: str = "explicit mixture",
) -> GaussianMixture:
    """A mixture with explicit means and covariances.

    Args:
        means: Mean vectors, one row a cluster, of norm of order 1.
        covariances: One number, one number a cluster (K,), variances of coordinates (K, d), or
            matrices (K, d, d).
        weights: Probabilities of the clusters; equal by default.
        labels: Class of each cluster; each its own by default.
        name: A word or two for figures.

    Returns:
        The mixture; matrices that are all diagonal are recognised.

    Raises:
        InvalidProblem: If shapes differ, a number is not finite, or a covariance is not symmetric
            positive semi-definite; names the cluster.

    Example:
        >>> import numpy as np
        >>> mixture = gaussian_mixture(np.eye(2, 8), covariances=0.5)
        >>> mixture.clusters, mixture.classes
        (2, 2)
    """
    centres = array("means", means)
    if centres.ndim != 2 or not centres.size:
        raise InvalidProblem(
            f"Argument `means` must have one row for each cluster, but has shape {centres.shape}; "
            "give a matrix."
        )
    clusters, dimension = centres.shape
    spread = array("covariances", covariances)
    shapes = {(): 1, (clusters,): 1, (clusters, dimension): 2, (clusters, dimension, dimension): 3}
    if spread.shape not in shapes:
        raise InvalidProblem(
            f"Argument `covariances` has shape {spread.shape}, but `means` has {centres.shape}; "
            f"allowed are one number, {(clusters,)}, {(clusters, dimension)} and "
            f"{(clusters, dimension, dimension)}."
        )
    longest = float(np.linalg.norm(centres, axis=1).max())
    if longest > _LONG_MEAN:
        notice(
            f"A mean has norm {longest:.3g}, but norms of order 1 are meant (the estimator sees "
            "x/sqrt(d)); divide the means by sqrt(d) if their entries are of order 1."
        )
    if shapes[spread.shape] == 3:
        check_covariances(spread)
        spectrum: CovarianceSpectrum = Full(centres, (spread + spread.transpose(0, 2, 1)) / 2)
        off = spread * (1 - np.eye(dimension))
        if not off.any():
            spectrum = _coordinates(centres, np.einsum("kii->ki", spread))
    else:
        check_covariances(np.broadcast_to(spread.T, (dimension, clusters)).T[:, :, None, None])
        spectrum = _coordinates(centres, np.broadcast_to(spread.T, (dimension, clusters)).T)
    return GaussianMixture(spectrum, weights, labels, name)


def rotated_to_diagonal(mixture: GaussianMixture) -> GaussianMixture:
    """The mixture in the common eigenbasis of its covariances where they have one."""
    if not isinstance(mixture.spectrum, Full):
        return mixture
    spectrum = diagonalised(mixture.spectrum)
    if spectrum is None:
        return mixture
    return GaussianMixture(spectrum, mixture.weights, mixture.labels, mixture.name)


def noisy(mixture: GaussianMixture) -> GaussianMixture:
    """The mixture with a trace of noise in clusters that have none."""
    spectrum = with_noise(mixture.spectrum)
    if spectrum is mixture.spectrum:
        return mixture
    return GaussianMixture(spectrum, mixture.weights, mixture.labels, mixture.name)


def _coordinates(
    means: Float[np.ndarray, "cluster dimension"], variances: Float[np.ndarray, "cluster dimension"]
) -> Diagonal:
    """One atom a coordinate; coordinates of one kind (zero mean, equal variances) are merged."""
    clusters, dimension = means.shape
    rows = np.concatenate([variances, means * np.sqrt(dimension)]).T
    kinds, counts = np.unique(rows, axis=0, return_counts=True)
    return Diagonal(
        counts / dimension,
        kinds[:, :clusters].copy(),
        kinds[:, clusters:].copy(),
        np.zeros((len(kinds), clusters, 0)),
    )


def _arrays(spectrum: CovarianceSpectrum) -> list[np.ndarray]:
    if isinstance(spectrum, Full):
        return [spectrum.means, spectrum.covariances]
    return [spectrum.shares, spectrum.variances, spectrum.means, spectrum.loadings]
