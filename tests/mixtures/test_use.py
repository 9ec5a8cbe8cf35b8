"""What users do with solutions: derivatives, optima, decisions, data of their own."""

import numpy as np
import pytest

import orderparam as op
from orderparam.errors import InvalidProblem
from orderparam.mixtures import (
    AsymptoticClassifier,
    MixtureERM,
    best_bias,
    blocks,
    calibration,
    from_data,
    learning_curve,
    optimal_strength,
    required_alpha,
    roc_curve,
    sensitivity,
)

PROBLEM = MixtureERM(blocks((0.5,), positive_weight=0.8), "logistic", "l2", 0.05, 2.0)


def test_exact_derivatives_equal_differences():
    exact, step = sensitivity(PROBLEM), 1e-3
    ends = np.exp([-step, step])
    for field, found in (("strength", exact.by_strength), ("alpha", exact.by_alpha)):
        value = float(getattr(PROBLEM, field))
        solved = op.solve(PROBLEM.at(**{field: value * ends}), progress=False)
        for name in ("test_error", "train_loss", "energy", "norm"):
            difference = float(np.diff(solved[name].values)[0]) / (2 * step)
            assert found[name] == pytest.approx(difference, rel=1e-4)


def test_the_best_strength_and_the_samples_needed():
    best = optimal_strength(PROBLEM)
    near = op.solve(PROBLEM.at(strength=best.strength * np.array([0.9, 1.0, 1.1])), progress=False)
    assert np.argmin(near["test_error"].values) == 1
    assert best.strength == pytest.approx(0.042, abs=0.002)
    assert best.test_error == pytest.approx(0.0996, abs=1e-4)
    assert best.curvature > 0
    balanced = optimal_strength(PROBLEM.at(mixture=blocks((0.5,))))
    assert balanced.boundary == "infinite"
    alpha = required_alpha(PROBLEM, 0.09)
    assert float(op.solve(PROBLEM.at(alpha=alpha), progress=False)["test_error"]) == (
        pytest.approx(0.09, abs=1e-8)
    )
    with pytest.raises(InvalidProblem, match="not reached"):
        required_alpha(PROBLEM, 0.01)


def test_decisions_from_the_gaussian_law():
    solution = op.solve(PROBLEM, progress=False)
    bias, error = best_bias(solution)
    assert float(solution["test_error"]) == pytest.approx(0.099691, abs=1e-6)
    assert (bias, error) == pytest.approx((1.0345, 0.095461), abs=1e-4)
    Q, m = float(solution["Q"][1]), float(solution["m"][1])
    assert bias == pytest.approx(Q / (2 * m) * np.log(4), abs=1e-5)
    curve = roc_curve(solution, 4001)
    assert np.trapezoid(curve.true_positive, curve.false_positive) == (
        pytest.approx(curve.area, abs=1e-5)
    )
    rng = np.random.default_rng(0)
    y = rng.choice([-1, 1], 200_000, p=[0.2, 0.8])
    z = y * m + float(solution["b"]) + np.sqrt(Q) * rng.standard_normal(len(y))
    p = 1 / (1 + np.exp(-z))
    bins = np.clip((p * 20).astype(int), 0, 19)
    gaps = [abs(np.sum((y[bins == i] > 0) - p[bins == i])) for i in range(20)]
    assert calibration(solution).error == pytest.approx(sum(gaps) / len(y), abs=3e-3)


def test_curves_of_a_dataset():
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 900)
    X = rng.standard_normal((900, 20)) + 0.3 * (2 * y[:, None] - 1) * (np.arange(20) < 6)
    curve = learning_curve(X, y, loss="squared", strength=0.5, alphas=(2.0, 6.0), splits=6)
    for row in curve.table():
        for value, error in (row[2:4], row[4:6]):
            assert abs(value - row[1]) < 4 * error + 0.02
    assert curve.plot().axes
    model = AsymptoticClassifier("squared", strength=0.5).fit(X, y)
    predicted = model.predict_learning_curve([2.0, 6.0])
    np.testing.assert_allclose(predicted["test_error"], curve.theory["test_error"], atol=1e-9)
    assert AsymptoticClassifier("hinge", strength=0.5).fit(X, y).score(X, y) > 0.7
    with pytest.raises(InvalidProblem, match="constant features"):
        from_data(np.ones((900, 2)), y)
    with pytest.raises(InvalidProblem, match="a tenth"):
        learning_curve(X, y, alphas=(60.0,))
    with pytest.warns(UserWarning, match="noisy"):
        from_data(X[:100], y[:100])
