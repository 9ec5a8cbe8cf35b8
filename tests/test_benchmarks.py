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
