"""Test moments that differ from those of training."""

import numpy as np
import pytest

import orderparam as op
from orderparam.errors import InvalidProblem
from orderparam.mixtures import CovariateShift, MixtureERM, Ridge, anisotropic, gaussian_mixture
from orderparam.mixtures.experiment.fits import fit
from orderparam.mixtures.experiment.simulate import task_of
from orderparam.mixtures.model.sampling import draw, instance

D = 20
BOTH = anisotropic(D, (0.6, 0.9, 1.2, 0.5), seed=4)
TRAINING, TEST = (0.35, 0.65, 0.0, 0.0), (0.0, 0.0, 0.5, 0.5)


def clusters(labels=(0, 1, 0, 1)):
    spectrum = BOTH.spectrum
    # Test clusters are moved copies of those of training, so that there is something to transfer.
    means = np.concatenate([spectrum.means[:2], 0.8 * spectrum.means[:2] + 0.1 * spectrum.means[2]])
    return gaussian_mixture(means, spectrum.covariances, labels=labels)


def solve(problem, method=None):
    return op.solve(problem, method, progress=False)


def test_overlaps_with_clusters_that_were_not_trained_on():
    """The formulas of the page by NumPy, from the order parameters of training alone."""
    mixture, strength, alpha = clusters(), 0.3, 1.5
    shifted = solve(CovariateShift(mixture, TRAINING, TEST, "squared", "l2", strength, alpha))
    sigma, mu = mixture.spectrum.covariances, mixture.spectrum.means
    trained = gaussian_mixture(mu[:2], sigma[:2], TRAINING[:2])
    plain = solve(MixtureERM(trained, "squared", "l2", strength, alpha))
    V, Q, m, b = (plain[name].values for name in ("V", "Q", "m", "b"))
    share, gap = alpha * np.array(TRAINING[:2]) / (1 + V), np.array([-1.0, 1.0]) - m - b
    curvature, drift = share, share * gap
    noise = share * (gap**2 + Q) / (1 + V)
    R = np.linalg.inv(strength * np.eye(D) + np.einsum("k,kij->ij", curvature, sigma[:2]))
    mean = R @ (drift @ mu[:2])
    spread = R @ np.einsum("k,kij->ij", noise, sigma[:2]) @ R / D
    expected = np.einsum("kij,ji->k", sigma, spread) + np.einsum("i,kij,j->k", mean, sigma, mean)
    np.testing.assert_allclose(shifted["Q"], expected, rtol=1e-8)
    np.testing.assert_allclose(shifted["m"], mu @ mean, rtol=1e-8)
    for name in ("b", "train_loss", "train_error", "norm", "energy"):
        np.testing.assert_allclose(shifted[name], plain[name], rtol=1e-8)
    closed = solve(
        CovariateShift(mixture, TRAINING, TEST, "squared", "l2", strength, alpha), Ridge()
    )
    np.testing.assert_allclose(closed["Q"], shifted["Q"], rtol=1e-7)
    np.testing.assert_allclose(closed["test_loss"], shifted["test_loss"], rtol=1e-7)


@pytest.mark.parametrize(
    ("loss", "penalty"),
    [("logistic", "l2"), pytest.param("hinge", "l1", marks=pytest.mark.validate)],
)
def test_fits_on_shifted_samples(loss, penalty):
    """Errors counted on fresh samples of the test clusters; the error without shift is refused."""
    mixture = clusters()
    if penalty == "l1":  # one coordinate after the other
        spectrum = mixture.spectrum
        variances = np.einsum("kii->ki", spectrum.covariances) * np.linspace(0.5, 1.5, D)
        mixture = gaussian_mixture(spectrum.means, variances, labels=mixture.labels)
    problem = CovariateShift(mixture, TRAINING, TEST, loss, penalty, 0.3, 1.5)
    theory = solve(problem)
    fresh = problem.at(training_weights=TEST)
    counted = []
    for seed in range(16):
        generator = np.random.default_rng(seed)
        at = instance(problem.mixture, 200, generator)
        samples = draw(problem.mixture, at, 300, generator)
        W, b = fit(task_of(problem, 0.3), samples.x, mixture.labels[samples.cluster])
        later = draw(fresh.mixture, at, 4000, generator)
        z = (later.x @ W[0] / np.sqrt(200) + b[0]) > 0
        counted.append(np.mean(z != (mixture.labels[later.cluster] == 1)))
    mean, error = np.mean(counted), np.std(counted, ddof=1) / 4
    assert abs(mean - float(theory["test_error"])) < 4 * error
    unshifted = solve(problem.at(test_weights=TRAINING))
    assert abs(mean - float(unshifted["test_error"])) > 5 * error


def test_a_shift_to_the_training_clusters_is_none():
    mixture = anisotropic(D, (0.6, 0.9), weights=(0.35, 0.65))
    plain = solve(MixtureERM(mixture, "logistic", "l2", 0.3, [1.0, 2.0]))
    same = CovariateShift(mixture, (0.35, 0.65), (0.35, 0.65), "logistic", "l2", 0.3, [1.0, 2.0])
    for name in ("test_error", "test_loss", "Q", "train_loss"):
        np.testing.assert_allclose(solve(same)[name], plain[name], rtol=1e-10)
    rarer = solve(same.at(test_weights=(0.9, 0.1)))
    wrong = np.array([0.9, 0.1]) @ (1 - rarer["confusion"].values[:, [0, 1], [0, 1]]).T
    np.testing.assert_allclose(rarer["test_error"], wrong, rtol=1e-10)
    np.testing.assert_allclose(rarer["train_error"], plain["train_error"], rtol=1e-10)
    assert "bayes_error" not in solve(same.at(alpha=1.0, test_weights=(0.9, 0.1))).diagnostics
    fits = op.simulate(same.at(test_weights=(0.9, 0.1)), dimension=20, seeds=2, progress=False)
    share = fits["confusion"].isel(alpha=0, dimension=0).values
    expected = 0.9 * share[:, 0, 1] + 0.1 * share[:, 1, 0]
    np.testing.assert_allclose(fits["test_error"].isel(alpha=0, dimension=0), expected, rtol=1e-10)


@pytest.mark.parametrize(
    ("training", "test", "words"),
    [
        ((0.5, 0.5), TEST, "4 clusters"),
        (TRAINING, (0.5, 0.6, 0.0, 0.0), "sum 1.1"),
        (TRAINING, (1.5, -0.5, 0.0, 0.0), "at least 0"),
        ((0.5, 0.0, 0.5, 0.0), TEST, "class 1 without training"),
    ],
)
def test_impossible_shifts(training, test, words):
    with pytest.raises(InvalidProblem, match=words):
        CovariateShift(clusters(), training, test)
