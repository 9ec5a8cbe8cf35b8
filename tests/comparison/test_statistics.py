"""The agreement statistic, tried on experiments whose truth is known."""

import numpy as np
import pytest
from scipy import stats

from orderparam.comparison import statistics
from orderparam.comparison.statistics import agreement, holm, limit_weights

WIDTHS = np.array([64.0, 128.0, 256.0])
TIME = np.arange(30)


def runs_of(rng, counts=(8, 6, 4), correlation=0.95, widths=WIDTHS):
    """Runs with bias 3/N and noise 1/sqrt(N), correlated over time; ragged seeds are NaN."""
    covariance = correlation ** np.abs(TIME[:, None] - TIME)
    root = np.linalg.cholesky(covariance + 1e-12 * np.eye(len(TIME)))
    truth, size = np.exp(-TIME / 10) + 0.5, np.exp(-TIME / 15)
    runs = np.full((len(widths), 8, len(TIME)), np.nan)
    for row, count, width in zip(runs, counts, widths, strict=True):
        noise = rng.standard_normal((count, len(TIME))) @ root.T
        row[:count] = truth + 3 * size / width + size * noise / np.sqrt(width)
    return truth, size, runs, np.isfinite(runs[..., 0])


@pytest.mark.parametrize("correlation", [0.95, 1e-6])
@pytest.mark.parametrize("counts", [(8, 6, 4), (4, 6, 8)])
def test_a_right_theory_is_rejected_as_often_as_stated(counts, correlation):
    rng = np.random.default_rng(0)
    values = []
    for _ in range(500):
        truth, _, runs, valid = runs_of(rng, counts, correlation)
        values.append(agreement(truth, None, runs, valid, WIDTHS).p_value)
    # Three standard deviations of 500 draws are 0.029 at level 0.05 and 0.067 at 0.5.
    assert 0.025 <= np.mean(np.array(values) < 0.05) <= 0.08
    assert 0.43 <= np.mean(np.array(values) < 0.5) <= 0.6


def test_errors_of_the_theory_count():
    # One number moves all entries, the worst case that the test assumes.
    rng = np.random.default_rng(1)
    with_errors, without = [], []
    for _ in range(300):
        truth, size, runs, valid = runs_of(rng)
        theory = truth + 0.1 * size * rng.standard_normal()
        with_errors.append(agreement(theory, 0.1 * size, runs, valid, WIDTHS).p_value)
        without.append(agreement(theory, None, runs, valid, WIDTHS).p_value)
    assert 0.01 <= np.mean(np.array(with_errors) < 0.05) <= 0.09
    assert np.mean(np.array(without) < 0.05) > 0.2


def test_a_shifted_theory_is_found():
    rng = np.random.default_rng(2)
    found = 0
    for _ in range(50):
        truth, size, runs, valid = runs_of(rng, counts=(8, 8, 8))
        found += agreement(truth + 0.4 * size, None, runs, valid, WIDTHS).p_value < 1e-3
    assert found >= 45


def test_only_the_extrapolation_removes_the_finite_width_shift():
    truth, size, runs, valid = runs_of(np.random.default_rng(3))
    # The shift 60/N is several standard errors at the widest width.
    runs = runs + 60 * size / WIDTHS[:, None, None]
    assert agreement(truth, None, runs, valid, WIDTHS).p_value > 0.01
    two = agreement(truth, None, runs[1:], valid[1:], WIDTHS[1:])
    assert two.p_value < 0.01
    assert not two.extrapolated


def test_what_is_not_valid_does_not_matter():
    truth, _, runs, valid = runs_of(np.random.default_rng(4))
    filled = np.where(np.isfinite(runs), runs, 1e6)
    assert agreement(truth, None, runs, valid, WIDTHS) == agreement(
        truth, None, filled, valid, WIDTHS
    )


def test_blocks_of_entries_give_the_same_sums(monkeypatch):
    truth, _, runs, valid = runs_of(np.random.default_rng(5))
    whole = agreement(truth, 0.01 * truth, runs, valid, WIDTHS)
    monkeypatch.setattr(statistics, "_CHUNK", 7)
    parts = agreement(truth, 0.01 * truth, runs, valid, WIDTHS)
    assert parts.entries == whole.entries == 30
    assert parts.p_value == pytest.approx(whole.p_value, rel=1e-9)
    assert parts.combined_se == pytest.approx(whole.combined_se, rel=1e-12)


def test_numbers_of_one_entry_follow_student():
    rng = np.random.default_rng(6)
    runs = rng.standard_normal((1, 8, 1)) + 0.7
    test = agreement(np.zeros(1), None, runs, np.ones((1, 8), bool), np.array([64.0]))
    error = runs.std(ddof=1) / np.sqrt(8)
    assert test.combined_se == pytest.approx(error)
    assert test.rms_deviation == pytest.approx(abs(runs.mean()))
    # For one entry the F test is the two-sided t test with seven degrees of freedom.
    expected = 2 * stats.t.sf(abs(runs.mean()) / error, 7)
    assert test.p_value == pytest.approx(expected, rel=1e-6)
    assert stats.norm.sf(test.z) == pytest.approx(expected, rel=1e-6)


def test_entries_without_chance():
    truth, _, runs, valid = runs_of(np.random.default_rng(7))
    base = agreement(truth, None, runs, valid, WIDTHS)
    runs[:, :, 0] = truth[0] = 0.1
    kept = agreement(truth, None, runs, valid, WIDTHS)
    assert (base.entries, kept.entries, kept.mismatches) == (30, 29, 0)
    truth[0] += 1e-6
    wrong = agreement(truth, None, runs, valid, WIDTHS)
    assert (wrong.entries, wrong.mismatches, wrong.p_value) == (30, 1, 0.0)
    assert agreement(truth, None, runs, valid, WIDTHS, rounding=1e-5).mismatches == 0
    equal = agreement(np.ones(2), None, np.ones((1, 3, 2)), np.ones((1, 3), bool), np.ones(1))
    assert (equal.entries, equal.p_value) == (0, 1.0)


def test_limit_weights_are_those_of_the_weighted_regression():
    counts = np.array([8, 0, 6, 4])
    widths = np.array([64.0, 100.0, 128.0, 256.0])
    weights = limit_weights(widths, counts)
    present = counts > 0
    assert weights.sum() == pytest.approx(1)
    assert weights @ (1 / widths) == pytest.approx(0, abs=1e-12)
    means = np.array([0.3, np.nan, 0.5, 0.1])[present]
    # numpy.polyfit takes square roots of the weights.
    root = np.sqrt(counts * widths)[present]
    intercept = np.polyfit(1 / widths[present], means, 1, w=root)[1]
    assert weights[present] @ means == pytest.approx(intercept)
    assert limit_weights(widths, np.array([8, 4, 0, 0])).tolist() == [0, 1, 0, 0]


def test_holm_steps_down():
    values = np.array([0.011, 0.04, 0.0001, 0.03])
    # Limits 0.0125, 0.0167, 0.025, 0.05: 0.03 stops, so 0.04 is kept although below 0.05.
    assert holm(values, 0.05).tolist() == [True, False, True, False]
    assert holm(np.array([]), 0.05).tolist() == []
