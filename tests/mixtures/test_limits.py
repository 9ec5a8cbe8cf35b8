"""Vanishing penalties: separability, the hard margin, and what does not exist."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

import orderparam as op
from orderparam.errors import InterpolationThreshold, NotConverged, SeparableData
from orderparam.mixtures import (
    MixtureERM,
    Ridge,
    SaddlePoint,
    anisotropic,
    blocks,
    gaussian_mixture,
    isotropic,
    separability_threshold,
)
from orderparam.mixtures.theory import polishing
from orderparam.mixtures.theory.batches import guesses, make_setup
from orderparam.mixtures.theory.equations import Point

ONE = blocks((0.5,))
HALF = 3.33140855  # half the threshold of ONE


def error(problem, name="test_error"):
    return float(op.solve(problem, progress=False)[name])


@pytest.mark.parametrize(
    ("variance", "balanced", "unbalanced"),
    [(0.1, 539.07, 684.64), (0.5, 6.66282, 8.65102), (1.0, 3.70003, 4.84904), (1e9, 2.0, 2.66776)],
)
def test_thresholds_of_two_classes(variance, balanced, unbalanced):
    for rho, known in ((0.5, balanced), (0.8, unbalanced)):
        found = separability_threshold(blocks((variance,), positive_weight=rho))
        assert found == pytest.approx(known, rel=1e-4)


@pytest.mark.parametrize(
    ("clusters", "geometry", "variance", "known"),
    [(3, "random", 1.0, 3.1872), (3, "simplex", 1.0, 3.6691), (3, "random", 0.5, 4.2215),
     (5, "random", 1.0, 3.9720), (3, "random", 1e9, 2.4)],
)  # fmt: skip
def test_thresholds_of_several_classes(clusters, geometry, variance, known):
    found = separability_threshold(isotropic(clusters, variance, geometry))
    assert found == pytest.approx(known, rel=1e-3)
    assert separability_threshold(blocks((1.0,), negative_variances=(0.5,))) is None


def test_the_hard_margin_of_separable_clusters():
    hard = op.solve(MixtureERM(ONE, "hard-margin", "l2", 1.0, HALF), progress=False)
    assert float(hard["test_error"]) == pytest.approx(0.158869, abs=1e-6)
    assert float(hard["Q"][0]) == pytest.approx(9.30536, abs=1e-5)
    assert "test_loss" not in hard


@pytest.mark.validate
def test_hinge_tends_to_the_hard_margin():
    hard = op.solve(MixtureERM(ONE, "hard-margin", "l2", 1.0, HALF), progress=False)
    hinge = op.solve(MixtureERM(ONE, "hinge", "l2", [1e-2, 1e-6], HALF), progress=False)
    np.testing.assert_allclose(hinge["Q"][1], hard["Q"], rtol=1e-6)
    np.testing.assert_allclose(1e-6 * hinge["V"][1], hard["V"], rtol=1e-6)
    assert hinge["train_loss"].values[1] < 1e-12


@pytest.mark.validate
def test_logistic_tends_to_the_hard_margin_only_slowly():
    slow = op.solve(MixtureERM(ONE, "logistic", "l2", [1e-2, 1e-4, 1e-6], HALF), progress=False)
    known = [0.129334, 0.150247, 0.154251]
    assert slow["test_error"].values == pytest.approx(known, abs=2e-6)


@pytest.mark.validate
def test_the_margin_vanishes_at_the_threshold():
    """1/sqrt(Q) is extrapolated to zero; the formula for the threshold is not used."""
    ratio = np.array([0.96, 0.97, 0.98, 0.99])
    threshold = separability_threshold(ONE)
    hard = op.solve(MixtureERM(ONE, "hard-margin", "l2", 1.0, ratio * threshold), progress=False)
    margin = 1 / np.sqrt(hard["Q"].values[:, 0])
    # alpha as a polynomial in the margin, read off at margin 0.
    reached = np.polyfit(margin, ratio * threshold, 2)[-1]
    assert reached == pytest.approx(threshold, rel=1e-4)


def test_no_penalty_above_the_threshold():
    for loss in ("logistic", "hinge"):
        assert 0.1 < error(MixtureERM(ONE, loss, "l2", 0.0, 9.0)) < 0.13


def test_minimisers_that_do_not_exist():
    with pytest.raises(SeparableData, match=r"6\.66282"):
        op.solve(MixtureERM(ONE, "logistic", "l2", 0.0, 5.0), progress=False)
    with pytest.raises(SeparableData, match="hinge"):
        op.solve(MixtureERM(ONE, "hard-margin", "l2", 1.0, 7.0), progress=False)
    with pytest.raises(InterpolationThreshold, match="positive strength"):
        op.solve(MixtureERM(ONE, "squared", "l2", 0.0, 0.8), progress=False)


def test_double_descent_of_the_square_loss_and_its_cure():
    alphas = [0.5, 1.0, 2.0]
    problem = MixtureERM(isotropic(3), "squared", "l2", [1e-3, 1.0], alphas)
    errors = op.solve(problem, progress=False)["test_error"]
    assert errors.sel(strength=1e-3).values[1] > errors.sel(strength=1e-3).values[0] + 0.05
    assert np.all(np.diff(errors.sel(strength=1.0).values) < 0)


def test_clusters_without_noise_have_the_elementary_answer():
    """w lies along mu: `alpha log(1 + e^-m) + strength m^2/2` is minimal, |mu| = 1."""
    m = optimize.minimize_scalar(
        lambda m: 2.0 * np.log1p(np.exp(-m)) + 0.05 * m**2, bracket=(1, 3)
    ).x
    e = np.eye(20)[0]
    mixture = gaussian_mixture(np.stack([-e, e]), 0.0)
    found = op.solve(MixtureERM(mixture, "logistic", "l2", 0.1, 2.0), progress=False)
    np.testing.assert_allclose(found["m"].values, [-m, m], atol=1e-6)
    assert float(found["train_loss"]) == pytest.approx(np.log1p(np.exp(-m)), abs=1e-7)
    assert float(found["test_error"]) < 1e-12
    assert "without noise" in found.message
    bare = MixtureERM(gaussian_mixture(np.stack([-e, e]), 0.0), "squared", "l2", 0.1, 2.0)
    for method in (SaddlePoint(), Ridge()):
        ridge = op.solve(bare, method, progress=False)
        np.testing.assert_allclose(ridge["m"].values, [-2 / 2.1, 2 / 2.1], atol=1e-8)


def test_the_equations_are_traced_once_to_polish_a_point(monkeypatch):
    """Each trace costs seconds of compilation."""
    traced = []

    def counted(*arguments):
        traced.append(arguments)
        return gaps(*arguments)

    gaps = polishing.gaps
    monkeypatch.setattr(polishing, "gaps", counted)
    with jax.enable_x64(True):
        setup = make_setup(MixtureERM(ONE, "squared", "l2", 0.1, 2.0), 11)
        point = Point(jnp.asarray(2.0), jnp.asarray(0.1))
        start = jnp.asarray(guesses(setup, np.asarray([2.0]), np.asarray([0.1]))[0])
        setup = jax.tree.map(jnp.asarray, setup)
        found = polishing.polish(setup, point, start, 1e-10, 80)
    assert len(traced) == 1
    assert float(found.residual) < 1e-12
    assert int(found.evaluations) < 20


def test_unsolved_points_are_marked_and_never_silent():
    # A few evaluations do not reach rounding; full covariances have no other stage.
    method = SaddlePoint(tolerance=1e-14, iterations=2)
    problem = MixtureERM(anisotropic(8, (0.6, 0.9)), "logistic", "l2", 0.3, 2.0)
    rough = op.solve(problem, method, progress=False, throw=False)
    assert not rough.verdict.ok
    assert np.isnan(float(rough["test_error"]))
    assert float(rough["residual"]) > 1e-14
    with pytest.raises(NotConverged, match="missed the tolerance"):
        op.solve(problem, method, progress=False)
