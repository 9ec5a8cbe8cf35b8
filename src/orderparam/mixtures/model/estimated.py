"""Mixtures estimated from a dataset, and spectra that decay as powers."""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from orderparam.errors import InvalidProblem
from orderparam.mixtures.model.mixture import GaussianMixture
from orderparam.mixtures.model.spectrum import Diagonal, Full
from orderparam.mixtures.model.standard import STEEPEST
from orderparam.support.arguments import integer, positive, probability, real, refuse, truth
from orderparam.support.arrays import Numbers, class_numbers, matrix
from orderparam.support.keywords import known_keywords
from orderparam.support.memory import require_numbers
from orderparam.support.notices import notice

_ENOUGH = 10
_CONSTANT = 1e-12


@known_keywords
def from_data(
    X: Numbers,
    y: ArrayLike,
    clusters: ArrayLike | None = None,
    shrinkage: float = 0.0,
    diagonal: bool = False,
    name: str = "data",
) -> GaussianMixture:
    """The Gaussian mixture with the means, covariances and frequencies of a dataset.

    Features are centred by their common mean, which the bias takes up, and should be of order 1.

    Args:
        X: Samples, one row each.
        y: Class of each sample; sorted classes become 0, 1, ...
        clusters: Finer cluster of each sample, each within one class; the classes by default.
        shrinkage: Share, in [0, 1], of the covariance that is replaced by its mean variance.
        diagonal: Keep the variances alone, as custom penalties need; correlations are dropped.
        name: A word or two for figures.

    Raises:
        InvalidProblem: If shapes differ, a number is not finite, a feature is constant, a cluster
            has a single sample or crosses classes.
    """
    data = matrix("X", X)
    if len(data) < 2:
        raise InvalidProblem("Argument `X` must have two or more rows, but has fewer; add samples.")
    classes = class_numbers("y", y, len(data))
    members = classes if clusters is None else class_numbers("clusters", clusters, len(data))
    constant = np.flatnonzero(np.ptp(data, axis=0) <= _CONSTANT)
    if constant.size:
        raise InvalidProblem(
            f"Argument `X` has {constant.size} constant features, the first at column "
            f"{constant[0]}; remove them."
        )
    shrinkage, diagonal = real("shrinkage", shrinkage, 0.0, 1.0), truth("diagonal", diagonal)
    if len(data) < _ENOUGH * data.shape[1]:
        notice(
            f"{len(data)} samples for {data.shape[1]} features are fewer than {_ENOUGH} each: the "
            "estimated covariances are noisy, and so is what follows from them."
        )
    centred = data - data.mean(axis=0)
    groups = [centred[members == k] for k in range(members.max() + 1)]
    labels = []
    for k, group in enumerate(groups):
        own = np.unique(classes[members == k])
        if len(own) > 1 or len(group) < 2:
            raise InvalidProblem(
                f"Cluster {k} has {len(group)} samples of the classes {own.tolist()}; each needs "
                "at least 2, of one class."
            )
        labels.append(int(own[0]))
    means = np.stack([group.mean(axis=0) for group in groups])
    spectrum = _moments(groups, means, shrinkage, diagonal)
    weights = np.array([len(group) for group in groups]) / len(data)
    return GaussianMixture(spectrum, weights, np.array(labels), name)


@known_keywords
def power_law(
    dimension: int = 1000,
    decay: float = 1.2,
    mean_decay: float = 1.0,
    negative_decay: float | None = None,
    positive_weight: float = 0.5,
    snr: float = 1.0,
) -> GaussianMixture:
    """Two opposite clusters whose variances and mean entries decay as powers of the rank.

    `sigma_a ~ a^-decay` with mean 1/2, `mu_a^2 ~ a^-mean_decay` with sum `snr`.

    Args:
        dimension: Number of coordinates.
        decay: Exponent of the variances.
        mean_decay: Exponent of the squared entries of the mean.
        negative_decay: Exponent of the variances of the cluster at -mu where it differs.
        positive_weight: Probability of the cluster at +mu.
        snr: Squared norm of the mean.

    Raises:
        InvalidProblem: If a value is outside its range.
    """
    dimension = integer("dimension", dimension)
    decay = real("decay", decay, -STEEPEST, STEEPEST)
    mean_decay = real("mean_decay", mean_decay, -STEEPEST, STEEPEST)
    minus = decay
    if negative_decay is not None:
        minus = real("negative_decay", negative_decay, -STEEPEST, STEEPEST)
    positive_weight = probability("positive_weight", positive_weight)
    snr = positive("snr", snr)
    require_numbers("dimension", 12 * dimension)
    rank = np.arange(1, dimension + 1, dtype=float)

    def variances(exponent: float) -> Float[np.ndarray, " coordinate"]:
        values = rank**-exponent
        return 0.5 * values / values.mean()

    square = rank**-mean_decay
    entry = np.sqrt(snr * square / square.mean())
    spectrum = Diagonal(
        np.full(dimension, 1 / dimension),
        np.stack([variances(minus), variances(decay)], axis=1),
        np.stack([-entry, entry], axis=1),
        np.zeros((dimension, 2, 0)),
    )
    return GaussianMixture(
        spectrum, (1 - positive_weight, positive_weight), name="power-law clusters"
    )


@known_keywords
def digits_parity(clusters: int = 2) -> GaussianMixture:
    """Even (class 0) against odd (class 1) handwritten digits, as 2 or 10 Gaussian clusters.

    Raises:
        InvalidProblem: If `clusters` is neither 2 nor 10.
    """
    if integer("clusters", clusters) not in (2, 10):
        raise refuse("clusters", clusters, "2 or 10")
    X, digit = digits_features()
    fine = digit if int(clusters) == 10 else None
    return from_data(X, digit % 2, fine, name=f"digits, odd or even, {int(clusters)} clusters")


@known_keywords
def digits_features() -> tuple[Float[np.ndarray, "sample feature"], np.ndarray]:
    """Pixels of the handwritten digits that vary, standardised, and the digits."""
    from sklearn.datasets import load_digits  # takes a second, which only its users should wait

    images, digit = (np.asarray(part) for part in load_digits(return_X_y=True))
    spread = images.std(axis=0)
    kept = images[:, spread > 0.3]
    return (kept - kept.mean(axis=0)) / kept.std(axis=0), digit


def _moments(
    groups: list[np.ndarray], means: np.ndarray, shrinkage: float, diagonal: bool
) -> Diagonal | Full:
    d, K = means.shape[1], len(groups)
    covariances = np.stack(
        [(g - mean).T @ (g - mean) / len(g) for g, mean in zip(groups, means, strict=True)]
    )
    size = np.einsum("kii->k", covariances) / d
    covariances = (1 - shrinkage) * covariances + shrinkage * size[:, None, None] * np.eye(d)
    if not diagonal:
        return Full(means, covariances)
    return Diagonal(
        np.full(d, 1 / d),
        np.einsum("kii->ik", covariances).copy(),
        means.T * np.sqrt(d),
        np.zeros((d, K, 0)),
    )
