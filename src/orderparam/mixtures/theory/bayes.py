"""The best possible errors: with known parameters, and with means learnt from as many samples."""

import numpy as np
from jaxtyping import Float
from scipy import special

from orderparam.errors import UnsupportedCombination
from orderparam.mixtures.model.mixture import GaussianMixture, checked_mixture, rotated_to_diagonal
from orderparam.mixtures.model.spectrum import Diagonal, Full
from orderparam.support.arguments import positive

_POINTS = 4096


def bayes_error(mixture: GaussianMixture, alpha: float) -> float:
    """Error of the best classifier that learns Gaussian means from `alpha d` labelled samples.

    The covariance `Delta 1` is known. Two opposite clusters share one mean, with prior
    N(0, 1/d): with `s = alpha/(alpha + Delta)` the score is Gaussian of mean `+-s` and variance
    `Delta s`. K independent means: `s_k = alpha rho_k/(alpha rho_k + Delta)`.

    Args:
        mixture: Spherical clusters, from `blocks` with one block or from `isotropic`.
        alpha: Samples per dimension, positive.

    Raises:
        UnsupportedCombination: For other mixtures.
        InvalidProblem: If `alpha` is not positive.

    Source: docs/theory/mixtures.md, Best possible errors.
    """
    checked_mixture(mixture)
    alpha = positive("alpha", alpha)
    spectrum, rho = mixture.spectrum, mixture.weights
    if (
        not isinstance(spectrum, Diagonal)
        or np.ptp(spectrum.variances) > 0
        or mixture.classes != mixture.clusters
        or spectrum.means.any()
    ):
        raise UnsupportedCombination(
            "The Bayes error is known for spherical clusters of one variance with Gaussian means, "
            "each its own class; see `oracle_error` for known parameters."
        )
    delta, overlaps = float(spectrum.variances[0, 0]), spectrum.overlaps()
    if mixture.clusters == 2 and np.allclose(overlaps, [[1, -1], [-1, 1]]):
        s = alpha / (alpha + delta)
        shift = delta / 2 * np.log(rho[1] / rho[0])
        spread = np.sqrt(delta * s)
        return float(rho[1] * special.ndtr(-(s + shift) / spread)
                     + rho[0] * special.ndtr(-(s - shift) / spread))  # fmt: skip
    if not np.allclose(overlaps, np.eye(mixture.clusters)):
        raise UnsupportedCombination(
            "The Bayes error is known for two opposite or K independent means of norm 1."
        )
    return _independent(delta, alpha, rho)


def oracle_error(mixture: GaussianMixture) -> tuple[float, float]:
    """Error of the best classifier that knows means and covariances, and its standard error.

    Two clusters with a common covariance, each its own class: the closed form of linear
    discriminant analysis, with standard error 0. Several clusters with a common covariance: the
    joint Gaussian law of their scores, by sampling. Otherwise quadratic discriminants of explicit
    coordinates, by sampling.

    Raises:
        UnsupportedCombination: If covariances differ and coordinates are not explicit, where the
            error vanishes in the limit.
    """
    mixture = rotated_to_diagonal(checked_mixture(mixture))
    spectrum = mixture.spectrum
    if isinstance(spectrum, Diagonal) and np.allclose(
        spectrum.variances, spectrum.variances[:, :1]
    ):
        inverse = 1 / spectrum.variances[:, 0]
        gram = np.einsum("a,akl->kl", spectrum.shares * inverse, spectrum.gram())
        if mixture.clusters == mixture.classes == 2:
            return _two_classes(gram, mixture.weights), 0.0
        return _linear(gram, mixture)
    if not isinstance(spectrum, Full):
        raise UnsupportedCombination(
            "With covariances that differ the clusters are told apart without error in the limit "
            "of many coordinates; the oracle is known for explicit matrices or one covariance."
        )
    return _quadratic(spectrum, mixture)


def _independent(delta: float, alpha: float, rho: Float[np.ndarray, " cluster"]) -> float:
    eta = np.sqrt(delta * (alpha * rho + delta) / (alpha * rho))
    xi, weight = special.roots_hermitenorm(121)
    weight = weight / weight.sum()
    right = 0.0
    for k, share in enumerate(rho):
        wins = np.ones_like(xi)
        for u in range(len(rho)):
            if u != k:
                level = 0.5 / eta[k] ** 2 + 0.5 / eta[u] ** 2 + xi / eta[k] + np.log(share / rho[u])
                wins = wins * special.ndtr(eta[u] * level)
        right += share * float(weight @ wins)
    return 1 - right


def _two_classes(
    gram: Float[np.ndarray, "cluster cluster"], rho: Float[np.ndarray, " cluster"]
) -> float:
    """`sum_k rho_k Phi(-D/2 -+ log(rho_1/rho_0)/D)`, D the distance of the means in spreads."""
    distance = np.sqrt(max(gram[0, 0] + gram[1, 1] - 2 * gram[0, 1], 0.0))
    if distance == 0:
        return float(rho.min())
    shift = np.log(rho[1] / rho[0]) / distance
    return float(
        rho[1] * special.ndtr(-distance / 2 - shift) + rho[0] * special.ndtr(-distance / 2 + shift)
    )


def _linear(gram: Float[np.ndarray, "cluster cluster"], mixture: GaussianMixture) -> tuple:
    """Scores `x Sigma^-1 mu_k - mu_k Sigma^-1 mu_k/2 + log rho_k` are jointly Gaussian."""
    rng = np.random.default_rng(0)
    values, vectors = np.linalg.eigh(gram)
    factor = vectors * np.sqrt(np.maximum(values, 0))
    errors = []
    for _ in range(16):
        xi = rng.standard_normal((_POINTS, len(gram)))
        right = 0.0
        for k, share in enumerate(mixture.weights):
            score = gram[k] + xi @ factor.T - np.diag(gram) / 2 + np.log(mixture.weights)
            right += share * np.mean(_class_of(score, mixture) == mixture.labels[k])
        errors.append(1 - right)
    return float(np.mean(errors)), float(np.std(errors, ddof=1) / 4)


def _quadratic(spectrum: Full, mixture: GaussianMixture) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    factors = np.linalg.cholesky(spectrum.covariances)
    errors = []
    for _ in range(16):
        right = 0.0
        for k, share in enumerate(mixture.weights):
            x = rng.standard_normal((256, spectrum.dimension)) @ factors[k].T + spectrum.means[k]
            score = np.stack(
                [
                    np.log(mixture.weights[j])
                    - np.sum(np.linalg.solve(factors[j], (x - spectrum.means[j]).T) ** 2, axis=0)
                    / 2
                    - np.sum(np.log(np.diag(factors[j])))
                    for j in range(mixture.clusters)
                ],
                axis=1,
            )
            right += share * np.mean(_class_of(score, mixture) == mixture.labels[k])
        errors.append(1 - right)
    return float(np.mean(errors)), float(np.std(errors, ddof=1) / 4)


def _class_of(score: np.ndarray, mixture: GaussianMixture) -> np.ndarray:
    """The class with the largest total probability of its clusters."""
    weight = np.exp(score - score.max(axis=1, keepdims=True))
    return np.argmax(weight @ np.eye(mixture.classes)[mixture.labels], axis=1)
