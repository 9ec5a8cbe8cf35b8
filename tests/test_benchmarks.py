"""The benchmarks run, and what they compute from their measurements is right."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "benchmarks"


@pytest.fixture
def part(monkeypatch):
    """Import one file of the benchmarks, which are no package."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


@pytest.mark.validate
def test_the_smallest_part_reaches_its_goal(tmp_path):
    output = tmp_path / "results.json"
    command = [sys.executable, str(FOLDER / "run.py"), "--only", "accuracy", "--quick"]
    done = subprocess.run(
        [*command, "--output", str(output)],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT / "src"),
            "JAX_ENABLE_COMPILATION_CACHE": "false",  # compiling is measured
        },
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(output.read_text())
    assert results["machine"]["cores"] >= 1
    (row,) = results["accuracy"]["sister"]["rows"]
    assert results["accuracy"]["sister"]["best"] == row
    assert row["error"] <= 0.01
    assert 0 < row["run_seconds"] < row["compile_seconds"]
    assert "sister" in done.stdout


def test_reference_agrees_with_the_published_values(part):
    problems = part("problems")
    entry = json.loads(problems.REFERENCE.read_text())["b0"]
    for row in problems._against_published(entry):
        assert abs(row["deviation_in_standard_errors"]) <= problems.ALLOWED
    assert max(entry["mse_se"]) < 1e-3
    for name, (_, _, steps) in problems.SIZES.items():
        assert problems.reference(name)[0].shape == (steps,)


def test_error_is_relative_to_the_start(part):
    error = part("problems").error
    truth = np.array([2.0, 1.0, 0.5])
    curve, last = error(truth + np.array([0.0, 0.04, 0.01]), truth)
    assert curve == pytest.approx(0.02)
    assert last == pytest.approx(0.02)
    assert error(np.array([2.0, 0.6]), truth, [0, 2]) == pytest.approx((0.05, 0.2))


def test_only_settings_that_reach_the_goal_can_win(part):
    rows = [
        {"run_seconds": 1.0, "error": 0.02},
        {"run_seconds": 3.0, "error": 0.001},
        {"run_seconds": 2.0, "error": 0.009},
    ]
    fastest = part("accuracy").fastest
    assert fastest(rows) == rows[2]
    assert fastest(rows[:1]) is None


def test_exponent(part):
    rows = [{"steps": t, "seconds": 0.1 * t**1.3} for t in (100, 400, 1600)]
    assert part("cost").slope(rows) == pytest.approx(1.3)


def test_networks_are_enough_when_every_group_is(part):
    networks = part("networks")
    truth = np.array([1.0, 0.5])
    # Second networks cancel the first in each group but the last, which needs its third.
    shifts = np.array([0.1, 0.1, 0.1, -0.1, -0.1, -0.05, 0.0, 0.0, -0.05])
    curves = truth + np.outer(shifts, [0.0, 1.0])
    trained = {"width": 8, "networks": 9, "seconds": 2.0, "steps": [0, 1], "curves": curves}
    trained["cpu_seconds"] = 1.0
    row = networks.summary(trained, truth)
    assert (row["needed"], row["seconds"]) == (3, 6.0)
    far = networks.summary({**trained, "curves": curves + 0.2}, truth)
    assert far["needed"] is None
    assert far["error"] == pytest.approx(0.2)


def test_a_failed_measurement_is_an_error(part, capfd):
    isolated = part("isolated")
    with pytest.raises(RuntimeError, match="failed with code"):
        isolated.call("json:no_such_function")
    assert "no_such_function" in capfd.readouterr().err


def test_the_cheapest_ensemble_balances_lag_and_noise(part):
    curve = part("curve")
    rng, truth = np.random.default_rng(0), np.array([1.0, 0.5])
    trained = [
        {
            "width": n,
            "networks": 3000,
            "steps": [0, 1],
            "cpu_seconds": 1e-6 * n**2,
            "curves": truth + [0, 8.0 / n] + rng.normal(size=(3000, 2)) * [0, 2 / n**0.5],
        }
        for n in (256, 512)
    ]
    lag, covariance = curve.deviation_law(trained, truth)
    assert lag == pytest.approx([0, 8], abs=0.2)
    assert covariance[1, 1] == pytest.approx(4, rel=0.05)
    assert curve.seconds_law(trained) == pytest.approx((1e-6, 2.0))
    rows = curve.ensembles(trained, truth)
    # The lag 8 / N has to stay below the target, and the square of the cost is paid in the width.
    assert all(row["width"] * row["target"] > 8 for row in rows)
    costs = [row["seconds"] for row in rows]
    assert costs == sorted(costs)
    # With lag ~ noise ~ target: N ~ 1 / target, n ~ 1 / (N target^2), so cost ~ target^-3.
    slope = np.polyfit(np.log([row["target"] for row in rows]), np.log(costs), 1)[0]
    assert slope == pytest.approx(-3, abs=0.5)


def test_an_ensemble_that_lags_too_far_is_never_enough(part):
    needed = part("curve").needed
    draws = np.random.default_rng(0).normal(size=(100, 3, 2)) * 0.1
    assert needed(np.array([0.0, 0.02]), draws, 1.0, 0.01) is None
    few, many = needed(np.zeros(2), draws, 1.0, 0.02), needed(np.zeros(2), draws, 1.0, 0.01)
    assert many == pytest.approx(4 * few, rel=0.1)
    assert needed(np.array([0.0, 0.01]), draws, 1.0, 0.02) > 1.5 * few
