"""Seconds a point of a learning curve, and of a phase diagram, once compiled."""

import time
from typing import Any

import numpy as np

import orderparam as op

REPEATS = 5


def cases(quick: bool) -> dict[str, Any]:
    """Problems by name."""
    mixtures = op.mixtures
    one = mixtures.blocks((0.5,))
    simplex = mixtures.isotropic(3, 0.5, "simplex")
    side = 12 if quick else 50
    return {
        "logistic, 2 clusters, 1 point": mixtures.MixtureERM(one, "logistic", "l2", 0.01, 3.0),
        "hinge, 2 clusters, 1 point": mixtures.MixtureERM(one, "hinge", "l2", 0.1, 3.0),
        "lasso, 2 clusters, 1 point": mixtures.MixtureERM(one, "square", "l1", 0.1, 1.3),
        "softmax, 3 clusters, 1 point": mixtures.MixtureERM(simplex, "softmax", "l2", 0.1, 2.0),
        f"logistic, {side} x {side} points": mixtures.MixtureERM(
            one, "logistic", "l2", np.geomspace(1e-2, 10, side), np.linspace(0.2, 8, side)
        ),
    }


def measure(quick: bool, results: dict[str, Any]) -> dict[str, Any]:
    """Compile each problem, then time it; the fastest of several calls."""
    del results
    rows = []
    for name, problem in cases(quick).items():
        began = time.perf_counter()
        solution = op.solve(problem, progress=False)
        first = time.perf_counter() - began
        repeats = REPEATS if first < 30 else 1
        seconds = min(_timed(problem) for _ in range(repeats))
        rows.append(
            {
                "problem": name,
                "first_seconds": first,
                "seconds": seconds,
                "residual": solution.diagnostics["residual"],
                "quadrature_error": solution.diagnostics["quadrature_error"],
            }
        )
    return {"rows": rows}


def table(measured: dict[str, Any]) -> list[str]:
    """Lines for people."""
    lines = [f"{'problem':<34}{'first call':>12}{'again':>12}{'residual':>11}{'quadrature':>12}"]
    for row in measured["rows"]:
        lines.append(
            f"{row['problem']:<34}{row['first_seconds']:>10.2f} s{row['seconds']:>10.4f} s"
            f"{row['residual']:>11.1e}{row['quadrature_error']:>12.1e}"
        )
    return lines


def _timed(problem: Any) -> float:
    began = time.perf_counter()
    op.solve(problem, progress=False)
    return time.perf_counter() - began
