"""Many points of one problem at once: their arrays, first guesses, and their evaluation.

Batches have few sizes, so that programs are compiled once for each.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from orderparam.errors import UnsupportedCombination
from orderparam.mixtures.model.spectrum import Diagonal, Full
from orderparam.mixtures.problem import MixtureERM
from orderparam.mixtures.theory.equations import Point, Setup, first_guess, image, pack, unpack
from orderparam.mixtures.theory.observables import evaluate_all
from orderparam.mixtures.theory.pack import Solved
from orderparam.numerics.gaussian import gaussian_rule

BATCHES = (1, 6, 32)
"""Compiled numbers of points."""


def batch_size(setup: Setup) -> int:
    """Points solved together: one where a factorisation outweighs everything else."""
    return 1 if isinstance(setup.spectrum, Full) else BATCHES[-1]


def padded(count: int) -> int:
    """The compiled size that holds so many points."""
    return next(size for size in BATCHES if size >= count)


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
    return setup_with(problem, jax.tree.map(jnp.asarray, problem.mixture.spectrum), nodes)


def setup_with(problem: MixtureERM, spectrum: Diagonal | Full, nodes: int) -> Setup:
    """The arrays of a problem with means and covariances in another form."""
    mixture, codes = problem.mixture, problem.codes
    x, w = gaussian_rule(codes.shape[1], nodes)
    return Setup(
        spectrum,
        jnp.asarray(mixture.weights),
        jnp.asarray(problem.test_weights),
        jnp.asarray(problem.class_weights[mixture.labels]),
        jnp.asarray(codes[mixture.labels]),
        jnp.asarray(x),
        jnp.asarray(w),
        problem.loss,
        problem.penalty,  # type: ignore[arg-type]
        problem.fit_bias,
    )


def finished(
    problem: MixtureERM,
    setup: Setup,
    nodes: int,
    packed: Float[np.ndarray, "point unknown"],
    residual: Float[np.ndarray, " point"],
    counts: np.ndarray,
) -> Solved:
    """Evaluate solved points, in batches of the size that was compiled."""
    alphas, strengths = problem.points()
    fine = gaussian_rule(setup.codes.shape[1], nodes, fine=True)
    rule = (jnp.asarray(fine[0]), jnp.asarray(fine[1]))
    parts = []
    size = batch_size(setup)
    for first in range(0, len(alphas), size):
        count = min(size, len(alphas) - first)
        fill = first + np.minimum(np.arange(padded(count)), count - 1)
        points = Point(jnp.asarray(alphas[fill]), jnp.asarray(strengths[fill]))
        done = evaluate_all(setup, rule, points, jnp.asarray(packed[fill]))
        parts.append(jax.tree.map(lambda leaf, n=count: np.asarray(leaf)[:n], done))
    xs, averages, error = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    # What one rule leaves unsolved, the other does too: only the difference is its error.
    error = np.maximum(error - residual, 0.0)
    return Solved(setup, Point(alphas, strengths), xs, averages, residual, error, counts)


@eqx.filter_jit
def guesses(setup: Setup, points: Point) -> Float[Array, "point unknown"]:
    """Where the iteration starts at each point, packed."""
    return jax.vmap(lambda p: pack(first_guess(setup, p)))(points)


def residuals_all(
    setup: Setup,
    alphas: Float[np.ndarray, " point"],
    strengths: Float[np.ndarray, " point"],
    packed: Float[Array, "point unknown"],
) -> Float[Array, " point"]:
    """Residual of the equations at given overlaps."""
    points = Point(jnp.asarray(alphas), jnp.asarray(strengths))
    return _residuals(setup, points, packed)


@eqx.filter_jit
def _residuals(
    setup: Setup, points: Point, packed: Float[Array, "point unknown"]
) -> Float[Array, " point"]:
    K, L = setup.codes.shape
    return jax.vmap(lambda p, x: image(setup, p, unpack(x, K, L)).residual)(points, packed)
