"""Fits of the hinge loss with kinked penalties against a linear program."""

import numpy as np
import pytest
from scipy import optimize, sparse

from orderparam.mixtures import blocks
from orderparam.mixtures.experiment.descent import Objective
from orderparam.mixtures.experiment.kinks import kinked
from orderparam.mixtures.model.sampling import draw, instance

MIXTURE = blocks((0.9, 0.3), (0.6, 0.4), 0.35)


def objective(d, alpha, fit_bias, seed=0):
    generator = np.random.default_rng((seed, d))
    sample = draw(MIXTURE, instance(MIXTURE, d, generator), round(alpha * d), generator)
    label = MIXTURE.labels[sample.cluster]
    importance = np.array([1.5, 0.8])[label]
    return Objective(sample.x / np.sqrt(d), 2.0 * label - 1, importance, fit_bias)


def penalty(strength, minus):
    """The proximal point of `strength (max(w, 0) + minus max(-w, 0))`."""

    def prox(B, curvature):
        low = -minus * strength
        return np.where(strength < B, B - strength, np.where(low > B, B - low, 0.0)) / curvature

    return prox


def exact(objective, strength, minus):
    """Weights, bias and objective by a linear program in `w = w+ - w-`, bias and slacks."""
    X, y, importance, fit_bias = objective
    count, size = X.shape
    signed = y[:, None] * X
    rows = sparse.hstack(
        [sparse.csr_array(part) for part in (-signed, signed, -y[:, None])]
        + [-sparse.eye_array(count)]
    )
    ones = np.full(size, strength)
    free = (None, None) if fit_bias else (0.0, 0.0)
    found = optimize.linprog(
        np.concatenate([ones, minus * ones, [0.0], importance]), rows, -np.ones(count),
        bounds=[(0, None)] * (2 * size) + [free] + [(0, None)] * count, method="highs",
    )  # fmt: skip
    return found.x[:size] - found.x[size : 2 * size], found.x[2 * size], found.fun


@pytest.mark.parametrize("fit_bias", [True, False])
@pytest.mark.parametrize("minus", [1.0, 2.0])
@pytest.mark.parametrize(
    ("d", "alpha", "strength"),
    [(20, 1.5, 0.25), (20, 0.5, 2.0), (100, 0.5, 0.01), (100, 1.5, 0.25), (100, 5.0, 2.0),
     (100, 1.5, 20.0), (200, 1.5, 0.25)],
)  # fmt: skip
def test_newton_on_kinks_is_the_linear_program(d, alpha, strength, minus, fit_bias):
    samples = objective(d, alpha, fit_bias)
    w, b, value = exact(samples, strength, minus)
    found = kinked(samples, penalty(strength, minus))
    assert found.error <= found.tolerance
    X, y, importance, _ = samples
    z = X @ found.weights + found.bias
    parts = np.maximum(found.weights, 0) + minus * np.maximum(-found.weights, 0)
    own = importance @ np.maximum(0, 1 - y * z) + strength * parts.sum()
    assert own == pytest.approx(value, rel=1e-9)
    if w.any():  # otherwise any bias between two samples may do
        np.testing.assert_allclose(found.weights, w, atol=1e-6)
        assert found.bias == pytest.approx(b, abs=1e-6)
        assert np.array_equal(found.weights != 0, np.abs(w) > 1e-9)
        errors = np.mean(np.sign(z) != y), np.mean(np.sign(X @ w + b) != y)
        assert errors[0] == errors[1]
