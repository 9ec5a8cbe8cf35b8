"""Drawing finite data from a mixture."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from orderparam.errors import InvalidProblem
from orderparam.mixtures.model.mixture import GaussianMixture
from orderparam.mixtures.model.spectrum import Diagonal, Full


class Instance(NamedTuple):
    """Means and covariances in d actual coordinates.

    `roots` is None for diagonal covariances; otherwise square roots of blocks, which repeat along
    the diagonal.
    """

    means: Float[np.ndarray, "cluster dimension"]
    variances: Float[np.ndarray, "cluster dimension"]
    roots: Float[np.ndarray, "cluster block block"] | None
    blocks: Float[np.ndarray, "cluster block block"] | None

    def times_covariance(
        self, W: Float[np.ndarray, "output dimension"], cluster: int
    ) -> Float[np.ndarray, "output dimension"]:
        """`W Sigma_k`."""
        if self.blocks is None:
            return W * self.variances[cluster]
        size = self.blocks.shape[1]
        return (W.reshape(len(W), -1, size) @ self.blocks[cluster]).reshape(W.shape)


class Sample(NamedTuple):
    """n samples with the cluster that each came from."""

    x: Float[np.ndarray, "sample dimension"]
    cluster: Int[np.ndarray, " sample"]


def instance(mixture: GaussianMixture, dimension: int, generator: np.random.Generator) -> Instance:
    """Draw what is random of the means, and lay the mixture out in `dimension` coordinates.

    Kinds of coordinates get their share of the dimension. A mixture with explicit matrices repeats
    along the diagonal, with means divided accordingly: the limit of many repetitions is what the
    theory describes.

    Raises:
        InvalidProblem: If the dimension is no multiple of that of explicit matrices.
    """
    spectrum = mixture.spectrum
    if isinstance(spectrum, Diagonal):
        return _atoms(spectrum, dimension, generator)
    copies, rest = divmod(dimension, spectrum.dimension)
    if rest or copies < 1:
        raise InvalidProblem(
            f"The mixture has matrices of dimension {spectrum.dimension}, so `dimension` must be a "
            f"multiple of it, but is {dimension}."
        )
    means = np.tile(spectrum.means, (1, copies)) / np.sqrt(copies)
    values, vectors = np.linalg.eigh(spectrum.covariances)
    roots = (vectors * np.sqrt(np.maximum(values, 0))[:, None, :]) @ vectors.transpose(0, 2, 1)
    diagonal = np.tile(np.einsum("kii->ki", spectrum.covariances), (1, copies))
    return Instance(means, diagonal, roots, spectrum.covariances)


def draw(
    mixture: GaussianMixture, at: Instance, count: int, generator: np.random.Generator
) -> Sample:
    """Draw `count` samples, clusters by their weights."""
    cluster = generator.choice(mixture.clusters, size=count, p=mixture.weights)
    x = generator.standard_normal((count, at.means.shape[1]))
    if at.roots is None:
        x *= np.sqrt(at.variances)[cluster]
    else:
        size = at.roots.shape[1]
        for k in range(mixture.clusters):
            rows = cluster == k
            x[rows] = (x[rows].reshape(-1, size) @ at.roots[k]).reshape(rows.sum(), x.shape[1])
    return Sample(x + at.means[cluster], cluster)


def noise_draws(
    spectrum: Full, replicates: int, draws: int, seed: int
) -> Float[np.ndarray, "replicate draw cluster dimension"]:
    """`Sigma_k^(1/2) xi`; each replicate is drawn from (seed, its index) alone."""
    values, vectors = np.linalg.eigh(spectrum.covariances)
    roots = (vectors * np.sqrt(np.maximum(values, 0))[:, None, :]) @ vectors.transpose(0, 2, 1)
    shape = (draws, spectrum.clusters, spectrum.dimension)
    xi = np.stack(
        [np.random.default_rng((seed, r)).standard_normal(shape) for r in range(replicates)]
    )
    return np.einsum("kij,rnkj->rnki", roots, xi, optimize=True)


def _atoms(spectrum: Diagonal, dimension: int, generator: np.random.Generator) -> Instance:
    ends = np.cumsum(spectrum.shares)
    kind = np.searchsorted(ends, (np.arange(dimension) + 0.5) / dimension * ends[-1])
    xi = generator.standard_normal((dimension, spectrum.loadings.shape[2]))
    entries = spectrum.means[kind] + np.einsum("ikr,ir->ik", spectrum.loadings[kind], xi)
    return Instance(entries.T / np.sqrt(dimension), spectrum.variances[kind].T, None, None)
