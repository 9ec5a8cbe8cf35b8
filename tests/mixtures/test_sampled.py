"""l1 and elastic nets on covariances that are not diagonal: averages over draws."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import orderparam as op
from orderparam.errors import CapacityExceeded
from orderparam.mixtures import MixtureERM, SampledWeights, gaussian_mixture
from orderparam.mixtures.model.spectrum import Full
from orderparam.mixtures.theory.lasso import minimise, response
from orderparam.results import Verdict

COMPARED = ("Q", "V", "m", "train_loss", "test_error", "energy", "norm", "active")


def correlated(dimension):
    """Two opposite sparse means, Sigma_+ = 0.8 C and Sigma_- = 0.3 C^-1, C_ij = 0.6^|i-j|."""
    places = np.arange(dimension)
    C = 0.6 ** np.abs(np.subtract.outer(places, places))
    generator = np.random.default_rng(3)
    mean = generator.standard_normal(dimension) * (generator.random(dimension) < 0.1)
    mean *= 1.5 / np.linalg.norm(mean)
    return gaussian_mixture(np.stack([-mean, mean]), np.stack([0.3 * np.linalg.inv(C), 0.8 * C]))


def test_minimisers_and_their_response():
    rng = np.random.default_rng(0)
    mix = rng.standard_normal((30, 40)) / 6
    A, B, tau = mix @ mix.T + 0.2 * np.eye(30), rng.standard_normal((5, 30)), 0.6
    with jax.enable_x64(True):
        w = np.asarray(minimise(jnp.asarray(A), jnp.asarray(B), jnp.asarray(tau)))
        moved = np.asarray(
            minimise(jnp.asarray(A), jnp.asarray(B) + 1e-6 * np.eye(30)[3], jnp.asarray(tau))
        )
        slope = np.asarray(response(jnp.asarray(A), jnp.asarray(w != 0)))
    force, active = B - w @ A, w != 0
    assert 0.2 < active.mean() < 0.8
    np.testing.assert_allclose(force[active], tau * np.sign(w[active]), atol=1e-8)
    assert np.abs(force[~active]).max() <= tau
    np.testing.assert_allclose((moved - w) / 1e-6, slope[:, :, 3], atol=1e-4)


@pytest.mark.parametrize("penalty", ["l1", pytest.param("elastic-net", marks=pytest.mark.validate)])
def test_diagonal_covariances_give_the_closed_average(penalty):
    rng = np.random.default_rng(1)
    variances = rng.uniform(0.3, 1.2, (2, 80))
    means = rng.standard_normal((2, 80)) * (rng.random((2, 80)) < 0.2) / 3
    mixture = gaussian_mixture(means, variances, (0.4, 0.6))
    problem = MixtureERM(mixture, "squared", penalty, 0.4, 1.5)
    closed = op.solve(problem, progress=False)
    mixture = eqx.tree_at(
        lambda m: m.spectrum, problem.mixture, Full(means, variances[:, :, None] * np.eye(80))
    )
    sampled = op.solve(
        eqx.tree_at(lambda p: p.mixture, problem, mixture), SampledWeights(10), progress=False
    )
    assert sampled.method["name"] == "sampled-weights"
    for name in COMPARED:
        error = sampled[f"{name}_se"].values
        gap = np.abs(sampled[name] - closed[name]).values
        assert np.all(gap < 4.5 * error), name
        assert np.all(error < 0.05 * np.abs(closed[name]).values.max()), name


def test_too_many_coordinates_meet_an_estimate():
    mixture = gaussian_mixture(
        np.zeros((2, 1001)), np.stack([np.eye(1001) + 0.001, np.eye(1001)]), labels=(0, 1)
    )
    problem = MixtureERM(mixture, "squared", "l1", 0.4, 1.5)
    with pytest.raises(CapacityExceeded, match=r"1001 .* MiB and"):
        op.solve(problem, progress=False)


def test_few_draws_are_not_called_accurate():
    problem = MixtureERM(correlated(20), "squared", "l1", 0.4, 1.5)
    solution = op.solve(problem, SampledWeights(1, 3, accuracy=0.01), progress=False, throw=False)
    assert solution.verdict is Verdict.ERROR_TOO_LARGE
    assert "draws" in solution.message


@pytest.mark.validate
@pytest.mark.parametrize("dimension", [60, 120])
def test_defaults_converge_for_every_seed(dimension):
    problem = MixtureERM(correlated(dimension), "squared", "l1", 0.4, 1.5)
    for seed in range(20):
        assert op.solve(problem, seed=seed, progress=False).verdict is Verdict.CONVERGED


@pytest.mark.validate
def test_correlated_coordinates_of_the_page():
    """d = 300: theory and 40 fits within 3 standard errors; a strength 1.5 times as large not."""
    problem = MixtureERM(correlated(300), "squared", "l1", 0.4, 1.5)
    fits = op.simulate(problem, dimension=300, seeds=40, progress=False)
    names = ("Q", "m", "b", "active", "train_loss", "train_error", "test_error", "energy", "norm")

    def deviations(strength):
        theory = op.solve(problem.at(strength=strength), progress=False)
        found = []
        for name in names:
            runs = fits[name].values[0]
            error = runs.std(axis=0, ddof=1) / np.sqrt(len(runs))
            error = np.hypot(error, theory[f"{name}_se"].values)
            found.append(np.max(np.abs(runs.mean(axis=0) - theory[name].values) / error))
        return dict(zip(names, found, strict=True))

    right, wrong = deviations(0.4), deviations(0.6)
    print(right, wrong)
    assert max(right.values()) < 3
    assert max(wrong.values()) > 5
