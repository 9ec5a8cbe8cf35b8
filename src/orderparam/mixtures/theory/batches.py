"""Points of one problem: their arrays, their first guesses, and what becomes of their ends."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from orderparam.errors import UnsupportedCombination
from orderparam.mixtures.model.spectrum import Diagonal, Full
from orderparam.mixtures.problem import MixtureERM
from orderparam.mixtures.theory.equations import Point, Setup, image, unpack
from orderparam.mixtures.theory.pack import Solved
from orderparam.mixtures.theory.solving import Ends, batch_size, solved_points
from orderparam.numerics.gaussian import gaussian_rule
from orderparam.support.programs import program

_ATOMS = (1, 4, 16, 64, 256)
"""Compiled numbers of atoms, and multiples of the last."""


def make_setup(problem: MixtureERM, nodes: int) -> Setup:
    """The arrays of a problem for compiled programs, with a quadrature rule.

    Raises:
        UnsupportedCombination: If the average over the weights has to be sampled.
    """
    if problem.needs_sampling:
        raise UnsupportedCombination(
            f"The penalty {problem.penalty.name!r} with covariances that are not diagonal is "
            "averaged over draws, by the method SampledWeights alone; solve it with that, or use "
            "'l2'."
        )
    return setup_with(problem, filled(problem.mixture.spectrum), nodes)


def filled(spectrum: Diagonal | Full) -> Diagonal | Full:
    """The same with atoms of no share, in one of a few numbers, so that programs are shared."""
    if not isinstance(spectrum, Diagonal):
        return spectrum
    count, last = len(spectrum.shares), _ATOMS[-1]
    room = next((size for size in _ATOMS if size >= count), -(-count // last) * last)

    def more(part: np.ndarray) -> np.ndarray:
        return np.concatenate([part, np.repeat(part[-1:], room - count, axis=0)])

    shares = np.pad(spectrum.shares, (0, room - count))
    return Diagonal(shares, *map(more, (spectrum.variances, spectrum.means, spectrum.loadings)))


def setup_with(problem: MixtureERM, spectrum: Diagonal | Full, nodes: int) -> Setup:
    """The arrays of a problem with means and covariances in another form."""
    mixture, codes = problem.mixture, problem.codes
    return Setup(
        spectrum,
        mixture.weights,
        problem.test_weights,
        problem.class_weights[mixture.labels],
        codes[mixture.labels],
        *gaussian_rule(codes.shape[1], nodes),
        problem.loss,
        problem.penalty,  # type: ignore[arg-type]
        problem.fit_bias,
    )


def guesses(
    setup: Setup, alphas: Float[np.ndarray, " point"], strengths: Float[np.ndarray, " point"]
) -> Float[np.ndarray, "point unknown"]:
    """Where the iteration starts, packed: the response of ridge regression, and small weights.

    On spherical data of the same size.
    """
    (K, L), spectrum = setup.codes.shape, setup.spectrum
    diagonal = (np.arange(L)[:, None] == np.arange(L))[np.triu_indices(L)]
    size = max(float(setup.weights @ spectrum.traces()), 1e-6)
    half = (strengths + (alphas - 1) * size) / 2
    V = size / (half + np.sqrt(half**2 + strengths * size))
    small = np.minimum(V, 1.0)
    logs = [np.tile(np.log(part)[:, None] * diagonal, K) for part in (V, 0.5 * small**2)]
    means = np.arcsinh(np.sqrt(0.02) * setup.codes.ravel()) * np.ones((len(V), 1))
    return np.concatenate([*logs, means, np.zeros((len(V), L))], axis=1)


def finished(
    problem: MixtureERM,
    setup: Setup,
    nodes: int,
    packed: Float[np.ndarray, "point unknown"],
    residual: Float[np.ndarray, " point"],
    counts: np.ndarray,
) -> Solved:
    """Evaluate points that were solved elsewhere."""
    alphas, strengths = problem.points()
    parts = []
    for first in range(0, len(alphas), batch_size(setup)):
        chosen = slice(first, first + batch_size(setup))
        own = (alphas[chosen], strengths[chosen], packed[chosen])
        parts.append(solved_points(setup, nodes, *own, 0.0, 1))
    ends = joined(parts)._replace(residual=residual, evaluations=counts)
    return judged(setup, Point(alphas, strengths), ends)


def joined(parts: list[Ends]) -> Ends:
    """Batches of points as one."""
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


def judged(setup: Setup, points: Point, ends: Ends) -> Solved:
    """Ends of points with the error of their quadrature."""
    # What one rule leaves unsolved, the other does too: only the difference is its error.
    error = np.maximum(ends.error - ends.residual, 0.0)
    return Solved(
        setup, points, ends.overlaps, ends.averages, ends.residual, error, ends.evaluations
    )


def residuals_all(
    setup: Setup,
    alphas: Float[np.ndarray, " point"],
    strengths: Float[np.ndarray, " point"],
    packed: Float[Array, "point unknown"],
) -> Float[Array, " point"]:
    """Residual of the equations at given overlaps."""
    points = Point(jnp.asarray(alphas), jnp.asarray(strengths))
    return _residuals(setup, points, packed)


@program
def _residuals(
    setup: Setup, points: Point, packed: Float[Array, "point unknown"]
) -> Float[Array, " point"]:
    K, L = setup.codes.shape
    return jax.vmap(lambda p, x: image(setup, p, unpack(x, K, L)).residual)(points, packed)
