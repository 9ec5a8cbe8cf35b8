"""The same numbers by different routes, and what must not change them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, optimize, stats

import orderparam as op
from orderparam.mixtures import (
    CustomPenalty,
    MixtureERM,
    Ridge,
    TwoClusters,
    blocks,
    gaussian_mixture,
    isotropic,
)
from orderparam.mixtures.model.losses import Field
from orderparam.mixtures.model.smooth import Logistic
from orderparam.mixtures.model.spectrum import Diagonal, Full
from orderparam.mixtures.theory import bayes
from orderparam.numerics.gaussian import gaussian_rule

NAMES = ("Q", "V", "m", "b", "train_loss", "train_error", "test_error", "norm", "penalty")


def equal(left, right, tolerance, names=NAMES):
    for name in names:
        np.testing.assert_allclose(left[name], right[name], rtol=tolerance, atol=tolerance)


def solve(problem, method=None):
    return op.solve(problem, method, progress=False)


def test_ridge_is_the_closed_solution():
    two = MixtureERM(blocks((0.1, 0.5), (0.5, 0.5), 0.3), "squared", "l2", 0.01, [0.3, 1.0, 3.0])
    equal(solve(two), solve(two, Ridge()), 1e-9)
    three = MixtureERM(
        isotropic(3, weights=(0.5, 0.3, 0.2)), "squared", "l2", 0.05, [0.5, 2.0],
        class_weights=(1.0, 2.0, 0.5),
    )  # fmt: skip
    equal(solve(three), solve(three, Ridge()), 1e-9)
    unpenalised = solve(two.at(strength=0.0, alpha=3.0), Ridge())
    assert float(unpenalised["test_error"]) < 0.1


@pytest.mark.parametrize("loss", [pytest.param("logistic", marks=pytest.mark.validate), "hinge"])
def test_two_clusters_by_adaptive_integration(loss):
    problem = MixtureERM(blocks((0.9, 0.3), (0.6, 0.4), 0.35), loss, "l2", 0.25, 1.6)
    other = solve(problem, TwoClusters())
    assert other.diagnostics["residual"] < 1e-9
    equal(solve(problem), other, 1e-8)


def test_softmax_of_two_classes_is_logistic_at_half_the_strength():
    soft = solve(MixtureERM(blocks((0.5,)), "softmax", "l2", 0.1, 2.0))
    binary = solve(MixtureERM(blocks((0.5,)), "logistic", "l2", 0.05, 2.0))
    for name in ("train_loss", "train_error", "test_error"):
        assert float(soft[name]) == pytest.approx(float(binary[name]), abs=1e-9)
    assert float(soft["train_loss"]) == pytest.approx(0.1257098, abs=1e-7)
    difference = np.array([-1.0, 1.0])
    assert difference @ soft["Q"].values[0] @ difference == pytest.approx(float(binary["Q"][0]))


def test_a_ridge_with_a_matrix_is_l2_on_other_features():
    """`tr(W Gamma W^T)/2` fitted directly, against the theory on the features Gamma^(-1/2) x."""
    rng = np.random.default_rng(2)
    d, size, strength, alpha = 20, 240, 0.5, 2.0
    mix = rng.standard_normal((2, d, d)) / np.sqrt(d)
    covariances = np.array([0.5, 0.9])[:, None, None] * (mix @ mix.transpose(0, 2, 1))
    means = rng.standard_normal((2, d)) / np.sqrt(d)
    turn = np.linalg.qr(rng.standard_normal((d, d)))[0]
    gamma = (turn * np.linspace(0.2, 4.0, d)) @ turn.T
    values, vectors = np.linalg.eigh(gamma)
    root = (vectors / np.sqrt(values)) @ vectors.T  # Gamma^(-1/2)
    theory = solve(
        MixtureERM(
            gaussian_mixture(means @ root, root @ covariances @ root, (0.35, 0.65)),
            "squared", "l2", strength, alpha,
        )
    )  # fmt: skip
    plain = solve(
        MixtureERM(
            gaussian_mixture(means, covariances, (0.35, 0.65)), "squared", "l2", strength, alpha
        )
    )
    fitted = np.array([_matrix_ridge(means, covariances, gamma, size, strength, alpha, seed)
                       for seed in range(24)])  # fmt: skip
    mean, error = fitted.mean(axis=0), fitted.std(axis=0, ddof=1) / np.sqrt(len(fitted))
    for solution, agrees in ((theory, True), (plain, False)):
        known = np.concatenate([solution["Q"], solution["m"], [float(solution["b"])]])
        assert (np.abs(mean - known).max() < 0.05) == agrees
        assert np.all(np.abs(mean - known) < 4 * error) == agrees


def _matrix_ridge(means, covariances, gamma, size, strength, alpha, seed):
    """Overlaps of the minimiser by its normal equations; blocks repeat along the diagonal."""
    rng = np.random.default_rng(seed)
    d = means.shape[1]
    copies, count = size // d, round(alpha * size)
    cluster = rng.choice(2, count, p=(0.35, 0.65))
    full = [np.kron(np.eye(copies), part) for part in (*covariances, gamma)]
    centres = np.tile(means, (1, copies)) / np.sqrt(copies)
    x = (
        centres[cluster]
        + np.einsum(
            "nd,kde->kne", rng.standard_normal((count, size)), np.linalg.cholesky(full[:2]).mT
        )[cluster, np.arange(count)]
    )
    features = np.concatenate([x / np.sqrt(size), np.ones((count, 1))], axis=1)
    penalty = np.zeros((size + 1, size + 1))
    penalty[:size, :size] = strength * full[2]
    found = np.linalg.solve(features.T @ features + penalty, features.T @ (2.0 * cluster - 1))
    w, b = found[:size], found[size]
    Q = [w @ part @ w / size for part in full[:2]]
    return np.concatenate([Q, centres @ w / np.sqrt(size), [b]])


@pytest.mark.validate
def test_rotations_change_nothing():
    rng = np.random.default_rng(1)
    d = 24
    means = rng.standard_normal((2, d)) / np.sqrt(d)
    variances = rng.uniform(0.2, 1.0, (2, d))
    basis = np.linalg.qr(rng.standard_normal((d, d)))[0]
    diagonal = gaussian_mixture(means @ basis, variances)
    rotated = gaussian_mixture(means, (basis * variances[:, None]) @ basis.T)
    assert isinstance(diagonal.spectrum, Diagonal)
    assert isinstance(rotated.spectrum, Full)
    problem = MixtureERM(diagonal, "logistic", "l2", 0.05, 2.0)
    reference = solve(problem)
    found = problem.at(mixture=rotated)
    assert isinstance(found.mixture.spectrum, Diagonal)  # commuting matrices are recognised
    equal(solve(found), reference, 1e-9)
    full = eqx.tree_at(lambda p: p.mixture, found, rotated)
    equal(solve(full), reference, 1e-8)


@pytest.mark.validate
def test_splitting_a_cluster_changes_nothing():
    rng = np.random.default_rng(1)
    diagonal = gaussian_mixture(
        rng.standard_normal((2, 24)) / np.sqrt(24), rng.uniform(0.2, 1.0, (2, 24))
    )
    problem = MixtureERM(diagonal, "logistic", "l2", 0.05, 2.0)
    reference = solve(problem)
    split = op.mixtures.GaussianMixture(
        Diagonal(
            diagonal.spectrum.shares,
            diagonal.spectrum.variances[:, [0, 0, 1]],
            diagonal.spectrum.means[:, [0, 0, 1]],
            diagonal.spectrum.loadings[:, [0, 0, 1]],
        ),
        (0.2, 0.3, 0.5),
        (0, 0, 1),
    )
    halves = solve(problem.at(mixture=split))
    equal(halves, reference, 1e-9, ("b", "train_loss", "train_error", "test_error", "norm"))
    np.testing.assert_allclose(halves["Q"][1:], reference["Q"], rtol=1e-9)


def test_gaussian_means_equal_their_quadrature():
    """Loadings are integrated in closed form; nodes in their place give the same lasso."""
    x, w = np.polynomial.hermite_e.hermegauss(61)
    w = w / w.sum()
    atoms = Diagonal(
        np.concatenate([0.5 * w, 0.5 * w]),
        np.repeat([0.1, 0.5], 61)[:, None] * np.ones(2),
        np.outer(np.tile(x, 2), [-1.0, 1.0]),
        np.zeros((122, 2, 0)),
    )
    problem = MixtureERM(blocks((0.1, 0.5), (0.5, 0.5)), "squared", "l1", 0.05, 1.0)
    other = problem.at(mixture=op.mixtures.GaussianMixture(atoms))
    equal(solve(problem), solve(other), 1e-9)


def test_a_custom_penalty_is_averaged_as_the_closed_one():
    """l1 by its proximal operator and nodes, against its formula; the kink limits the nodes."""
    custom = CustomPenalty(
        jnp.abs, lambda B, A, s: jnp.sign(B) * jnp.maximum(jnp.abs(B) - s, 0) / A, "own l1"
    )
    problem = MixtureERM(blocks((0.9, 0.3), (0.6, 0.4), 0.35), "squared", "l1", 0.25, [0.8, 1.5])
    equal(solve(problem), solve(problem.at(penalty=custom)), 3e-5)


@pytest.mark.parametrize(
    ("mixture", "loss", "penalty"),
    [
        (blocks((0.9, 0.3), (0.6, 0.4), 0.35), "logistic", "elastic-net"),
        pytest.param(
            isotropic(3, weights=(0.5, 0.3, 0.2)), "softmax", "l2", marks=pytest.mark.validate
        ),
    ],
)
def test_the_energy_changes_by_the_penalty(mixture, loss, penalty):
    """d energy / d strength = penalty: the envelope theorem checks every part at once."""
    problem, step = MixtureERM(mixture, loss, penalty, 1.0, 1.3), 1e-4
    solution = solve(problem.at(strength=[0.2 - step, 0.2, 0.2 + step]))
    slope = np.diff(solution["energy"].values[[0, 2]])[0] / (2 * step)
    assert slope == pytest.approx(float(solution["penalty"][1]), rel=1e-6)


def test_order_of_convergence_of_the_quadrature():
    """Gauss-Legendre: the error falls faster than any power for the smooth logistic channel."""
    mean, Q, V = 0.3, 4.0, 3.0

    def force(xi):
        omega = mean + np.sqrt(Q) * xi
        root = optimize.brentq(lambda u: u - omega - V / (1 + np.exp(u)), omega, omega + V)
        return 1 / (1 + np.exp(root))

    exact = integrate.quad(
        lambda xi: force(xi) ** 2 * stats.norm.pdf(xi), -9, 9, epsabs=1e-14, epsrel=1e-12, limit=500
    )[0]
    errors = []
    with jax.enable_x64(True):
        field = Field(*(jnp.asarray(part) for part in ([mean], [[Q]], [[V]], [1.0])))
        for nodes in (11, 21, 41):
            rule = (jnp.asarray(part) for part in gaussian_rule(1, nodes))
            errors.append(abs(float(Logistic().moments(field, *rule).ff[0, 0]) / exact - 1))
    assert errors[0] > 1e-4
    assert errors[1] < errors[0] / 30
    assert errors[2] < errors[1] / 100 or errors[2] < 1e-9


@pytest.mark.parametrize("outputs", [1, 2, 3, 5])
def test_rules_average_gaussians(outputs):
    x, w = gaussian_rule(outputs, 201)
    assert w.sum() == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(w @ x, 0, atol=1e-12)
    np.testing.assert_allclose((x.T * w) @ x, np.eye(outputs), atol=1e-12)


def test_the_oracle_of_two_classes_is_closed():
    """Phi(-D/2) for balanced ones; unbalanced against sampled scores."""
    error, se = op.mixtures.oracle_error(blocks((0.5,)))
    assert (error, se) == (pytest.approx(stats.norm.cdf(-np.sqrt(2.0)), abs=1e-12), 0.0)
    mixture = blocks((0.5,), positive_weight=0.8)
    closed = op.mixtures.oracle_error(mixture)[0]
    spectrum = mixture.spectrum
    gram = np.einsum("a,akl->kl", spectrum.shares / spectrum.variances[:, 0], spectrum.gram())
    sampled, se = bayes._linear(gram, mixture)
    assert se > 0
    assert abs(closed - sampled) < 4 * se
    assert closed < 0.95 * error
