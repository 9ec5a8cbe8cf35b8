"""One-pass SGD: seconds of the overlap equations, of the chain and of direct training.

The error of a run is its root-mean-square deviation from the equations, of order N^-1/2; the
equations' own is the step-size error, far below. All at (p, p*) = (4, 2).
"""

import time
from typing import Any

import isolated
import numpy as np

import orderparam as op

ATTEMPTS = 5
SAVE = op.SavePlan(steps=201)


def _problem(draws: int | None, duration: float) -> op.online.TeacherStudent:
    start = op.online.random_overlaps(4, 2, 1000, draws=draws, norm=2 / 3)
    return op.online.TeacherStudent(start, learning_rate=0.1, duration=duration)


def equations(draws: int | None, duration: float) -> dict[str, Any]:
    """Seconds of a solve, first (with compilation) and best of several later ones."""
    seconds, inner = [], []
    problem = _problem(draws, duration)
    for _ in range(1 + ATTEMPTS):
        began = time.perf_counter()
        solution = op.solve(problem, save=SAVE, progress=False)
        seconds.append(time.perf_counter() - began)
        inner.append(solution.dataset.attrs["wall_time"])
    return {
        "first": seconds[0],
        "run": min(seconds[1:]),
        "integration": min(inner[1:]),
        "final_loss": float(np.mean(solution["loss"].values[..., -1])),
    }


def simulation(simulator: str, dimension: int, runs: int, duration: float) -> dict[str, Any]:
    """Seconds of training `runs` students from O(1) overlaps, and their deviation."""
    start = op.online.random_overlaps(4, 2, 10, seed=3)
    problem = op.online.TeacherStudent(start, learning_rate=0.1, duration=duration)
    theory = op.solve(problem, save=SAVE, progress=False)
    seconds, found = [], None
    for _ in range(3):
        began = time.perf_counter()
        found = op.simulate(
            problem, dimension=dimension, seeds=runs, simulator=simulator, save=SAVE, progress=False
        )
        seconds.append(time.perf_counter() - began)
    assert found is not None
    deviation = float(np.sqrt(np.mean((found["Q"] - theory["Q"]).values ** 2)))
    steps = duration * dimension * runs
    return {
        "first": seconds[0],
        "run": min(seconds[1:]),
        "per_step": min(seconds[1:]) / steps,
        "deviation": deviation,
    }


def measure(quick: bool, results: dict[str, Any]) -> dict[str, Any]:
    """All rows, each in a process of its own."""
    del results
    rows = {
        "one trajectory to t = 1000": isolated.call(
            "online:equations", draws=None, duration=1000.0
        ),
        "1000 trajectories to t = 100": isolated.call(
            "online:equations", draws=1000, duration=100.0
        ),
    }
    for simulator, runs in (("chain", 128), ("direct", 4)):
        rows[f"{simulator}, N = 1000, {runs} runs"] = isolated.call(
            "online:simulation",
            simulator=simulator,
            dimension=1000,
            runs=runs,
            duration=2.0 if quick else 20.0,
        )
    return rows


def table(measured: dict[str, Any]) -> list[str]:
    """Lines for people."""
    lines = ["what                            first s    run s  note"]
    for name, row in measured.items():
        note = ""
        if "per_step" in row:
            note = f"{row['per_step'] * 1e6:.2f} us a step and run, rms deviation of Q "
            note += f"{row['deviation']:.3f}"
        else:
            note = f"integration {row['integration'] * 1e3:.1f} ms"
        lines.append(f"{name:30}  {row['first']:7.2f}  {row['run']:7.3f}  {note}")
    return lines
