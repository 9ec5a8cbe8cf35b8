"""The estimator with scikit-learn's interface: checks, weights, probabilities, predicted curves."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

import orderparam as op
from orderparam.errors import UnsupportedCombination
from orderparam.mixtures import AsymptoticClassifier, MixtureERM, from_data, learning_curve


@parametrize_with_checks([AsymptoticClassifier(), AsymptoticClassifier("squared", "l1")])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.validate
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("penalty", ["l2", "l1", "elastic-net"])
@pytest.mark.parametrize("loss", ["logistic", "squared", "hinge"])
def test_scikit_learn_checks_of_every_loss_and_penalty(loss, penalty):
    check_estimator(AsymptoticClassifier(loss, penalty), on_skip=None)


@pytest.fixture(scope="module")
def data():
    """Two classes of 12 correlated features of which some tell them apart."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 900)
    mix = 0.8 ** np.abs(np.subtract.outer(np.arange(12), np.arange(12)))
    X = rng.standard_normal((900, 12)) @ np.linalg.cholesky(mix).T
    return X + 0.5 * (2 * y[:, None] - 1) * (np.arange(12) < 5), y


def test_losses_and_penalties_of_two_classes_say_so():
    for estimator, many in (
        (AsymptoticClassifier(), True),
        (AsymptoticClassifier("hinge"), False),
        (AsymptoticClassifier("squared", op.mixtures.L1()), False),
        (AsymptoticClassifier("squared", op.mixtures.L2()), True),
    ):
        assert estimator.__sklearn_tags__().classifier_tags.multi_class == many


def test_strengths_weights_and_probabilities_are_those_of_logistic_regression(data):
    """strength = 1/(C d), weights of samples and classes, probabilities."""
    X, y = data
    weight = np.random.default_rng(2).integers(0, 3, len(X)).astype(float)
    ours = AsymptoticClassifier(strength=1 / (0.3 * 12), class_weight="balanced")
    ours.fit(X, y, sample_weight=weight)
    theirs = LogisticRegression(C=0.3, class_weight="balanced", tol=1e-10)
    theirs.fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-6)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)
    plain = AsymptoticClassifier(strength=1 / (0.3 * 12)).fit(X, y)
    assert np.abs(plain.coef_ - ours.coef_).max() > 1e-3
    assert not hasattr(AsymptoticClassifier("hinge"), "predict_proba")
    with pytest.raises(UnsupportedCombination, match="sample_weight"):
        ours.predict_learning_curve([2.0])


def test_a_penalty_may_be_named_or_given(data):
    X, y = data
    curves = [
        AsymptoticClassifier("squared", penalty, 0.5).fit(X, y).predict_learning_curve([3.0])
        for penalty in ("l2", op.mixtures.L2())
    ]
    np.testing.assert_array_equal(curves[0]["test_error"], curves[1]["test_error"])


def test_learning_curves_with_l1_use_all_covariances(data):
    """Against fits to Gaussian samples of the same moments; with variances alone it fails."""
    X, y = data
    model = AsymptoticClassifier("squared", "l1", 0.3).fit(X, y)
    theory = model.predict_learning_curve([10.0])
    assert theory.method["name"] == "sampled-weights"
    curve = learning_curve(
        X, y, loss="squared", penalty="l1", strength=0.3, alphas=(10.0,), splits=30
    )
    measured, error = curve.surrogate["test_error"].mean(), curve.surrogate["test_error"].std()
    error = np.hypot(error / np.sqrt(30), float(theory["test_error_se"][0]))
    diagonal = op.solve(
        MixtureERM(from_data(X, y, diagonal=True), "squared", "l1", 0.3, [10.0]), progress=False
    )
    assert abs(float(theory["test_error"][0]) - measured) < 4 * error + 0.005
    assert abs(float(diagonal["test_error"][0]) - measured) > 4 * error + 0.005
