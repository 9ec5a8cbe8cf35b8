"""Where the coordinates of the data live: means and covariances, diagonal or full."""

import equinox as eqx
import numpy as np
from jaxtyping import Float

from orderparam.support.plain_methods import PlainMethods


class Diagonal(PlainMethods, eqx.Module):
    """Covariances that are diagonal in one basis, as atoms: kinds of coordinates with shares.

    A coordinate of kind `a` has variance `variances[a, k]` in cluster `k` and, in units of
    `1/sqrt(d)`, mean `means[a, k] + sum_r loadings[a, k, r] xi_r` with standard normals `xi` of its
    own: a mean vector with Gaussian entries is `means = 0` and one loading.

    Attributes:
        shares: Fraction of coordinates of each kind; they sum to 1.
        variances: Variance of each kind of coordinate in each cluster.
        means: Deterministic part of `sqrt(d)` times the entry of the mean.
        loadings: Random part, by independent normals.
    """

    shares: Float[np.ndarray, " atom"]
    variances: Float[np.ndarray, "atom cluster"]
    means: Float[np.ndarray, "atom cluster"]
    loadings: Float[np.ndarray, "atom cluster factor"]

    @property
    def clusters(self) -> int:
        """Number of clusters."""
        return self.variances.shape[1]

    def gram(self) -> Float[np.ndarray, "atom cluster cluster"]:
        """Second moments of the mean entries of each kind of coordinate."""
        outer = self.means[:, :, None] * self.means[:, None, :]
        return outer + np.einsum("akr,alr->akl", self.loadings, self.loadings)

    def overlaps(self) -> Float[np.ndarray, "cluster cluster"]:
        """Inner products of the mean vectors, `mu_k . mu_l`."""
        return np.einsum("a,akl->kl", self.shares, self.gram())

    def traces(self) -> Float[np.ndarray, " cluster"]:
        """`tr(Sigma_k) / d`."""
        return self.shares @ self.variances

    def effective_rank(self) -> float:
        """Smallest `(tr Sigma)^2 / tr(Sigma^2)` as a fraction of the number of coordinates."""
        square = self.shares @ self.variances**2
        positive = square > 0
        return float(np.min(self.traces()[positive] ** 2 / square[positive], initial=1.0))


class Full(PlainMethods, eqx.Module):
    """Explicit means and covariance matrices that need not commute.

    Attributes:
        means: Mean vectors `mu_k`, of norm of order 1.
        covariances: Symmetric positive semi-definite matrices `Sigma_k`.
    """

    means: Float[np.ndarray, "cluster dimension"]
    covariances: Float[np.ndarray, "cluster dimension dimension"]

    @property
    def clusters(self) -> int:
        """Number of clusters."""
        return self.means.shape[0]

    @property
    def dimension(self) -> int:
        """Number d of coordinates."""
        return self.means.shape[1]

    def overlaps(self) -> Float[np.ndarray, "cluster cluster"]:
        """Inner products of the mean vectors, `mu_k . mu_l`."""
        return self.means @ self.means.T

    def traces(self) -> Float[np.ndarray, " cluster"]:
        """`tr(Sigma_k) / d`."""
        return np.einsum("kii->k", self.covariances) / self.dimension

    def effective_rank(self) -> float:
        """Smallest `(tr Sigma)^2 / tr(Sigma^2)` as a fraction of the number of coordinates."""
        square = np.einsum("kij,kij->k", self.covariances, self.covariances) / self.dimension
        return float(np.min(self.traces()[square > 0] ** 2 / square[square > 0], initial=1.0))


class Sampled(Full):
    """Explicit matrices, with draws of the noise that the samples exert on the weights.

    Attributes:
        noise: `Sigma_k^(1/2) xi` with standard normal xi, fixed for a whole solve.
    """

    noise: Float[np.ndarray, "draw cluster dimension"]


CovarianceSpectrum = Diagonal | Full

FLOOR = 1e-12
"""Mean variance of a cluster without noise, in units of the squared means and variances."""


def scale_of(spectrum: CovarianceSpectrum) -> float:
    """The largest squared mean or mean variance of a cluster; 1 where all vanish."""
    size = max(np.diagonal(spectrum.overlaps()).max(), spectrum.traces().max())
    return float(size) if size > 0 else 1.0


def with_noise(spectrum: CovarianceSpectrum) -> CovarianceSpectrum:
    """The same with a trace of noise in clusters that have none, in whose limit they are solved.

    Logarithms and relative errors of the overlaps need it; it changes results by its own order.
    """
    extra = FLOOR * scale_of(spectrum) - spectrum.traces()
    if (extra <= 0).all():
        return spectrum
    extra = np.maximum(extra, 0.0)
    if isinstance(spectrum, Diagonal):
        return eqx.tree_at(lambda s: s.variances, spectrum, spectrum.variances + extra)
    noise = extra[:, None, None] * np.eye(spectrum.dimension)
    return eqx.tree_at(lambda s: s.covariances, spectrum, spectrum.covariances + noise)


def diagonalised(spectrum: Full) -> Diagonal | None:
    """The same mixture in the common eigenbasis of its covariances, if they have one.

    Only penalties that rotations leave alone (l2) may be solved in it.

    Returns:
        One atom a coordinate; `None` if two of the covariances do not commute to rounding.
    """
    covariances, count = spectrum.covariances, spectrum.dimension
    scale = max(float(np.abs(covariances).max()), 1e-300)
    # A generic combination separates the eigenspaces that the matrices share.
    mixing = np.random.default_rng(0).uniform(0.5, 1.5, spectrum.clusters)
    basis = np.linalg.eigh(np.einsum("k,kij->ij", mixing, covariances))[1]
    rotated = basis.T @ covariances @ basis
    variances = np.einsum("kii->ki", rotated)
    rest = rotated - variances[:, :, None] * np.eye(count)
    if np.abs(rest).max() > 1e-10 * scale * np.sqrt(count):
        return None
    return Diagonal(
        np.full(count, 1 / count),
        np.maximum(variances, 0.0).T.copy(),
        (spectrum.means @ basis * np.sqrt(count)).T.copy(),
        np.zeros((count, spectrum.clusters, 0)),
    )
