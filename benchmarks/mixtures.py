"""Seconds a point of a learning curve, and of a phase diagram: the first call, and later ones.

Beside each the seconds of the processor, which other work on the machine disturbs less. The first
peer is a plain fixed point in NumPy of the same tolerance and, for the logistic loss, the same
nodes. The second: fits by scikit-learn in 500 dimensions, as many as bring the standard error of
the test error to 1e-3. The theory's own error is that of its quadrature, and smaller.
"""

import time
from typing import Any

import fixed_point
import numpy as np

import orderparam as op
from orderparam.mixtures.experiment.fits import Classifier
from orderparam.mixtures.experiment.measured import measure as measure_fit
from orderparam.mixtures.experiment.simulate import task_of
from orderparam.mixtures.model.sampling import draw, instance

REPEATS = 25
DIMENSION = 500
FITS = 8
WANTED = 1e-3


def cases(quick: bool) -> dict[str, Any]:
    """Problems by name."""
    mixtures = op.mixtures
    one = mixtures.blocks((0.5,))
    simplex = mixtures.isotropic(3, 0.5, "simplex")
    side = 12 if quick else 50
    return {
        "logistic, 2 clusters, 1 point": mixtures.MixtureERM(one, "logistic", "l2", 0.01, 3.0),
        "hinge, 2 clusters, 1 point": mixtures.MixtureERM(one, "hinge", "l2", 0.1, 3.0),
        "lasso, 2 clusters, 1 point": mixtures.MixtureERM(one, "squared", "l1", 0.1, 1.3),
        "logistic, 50 points": mixtures.MixtureERM(
            one, "logistic", "l2", 0.01, np.linspace(0.5, 6.0, 50)
        ),
        "softmax, 3 clusters, 1 point": mixtures.MixtureERM(simplex, "softmax", "l2", 0.1, 2.0),
        f"logistic, {side} x {side} points": mixtures.MixtureERM(
            one, "logistic", "l2", np.geomspace(1e-2, 10, side), np.linspace(0.2, 8, side)
        ),
    }


def measure(quick: bool, results: dict[str, Any]) -> dict[str, Any]:
    """Compile each problem, then time it; the median of several calls. Then the peers."""
    del results
    rows = []
    for name, problem in cases(quick).items():
        first, first_cpu, solution = _timed(problem)
        repeats = 3 if problem.dims else REPEATS
        seconds, cpu = np.median([_timed(problem)[:2] for _ in range(repeats)], axis=0).tolist()
        row = {
            "problem": name,
            "first_seconds": first,
            "first_cpu_seconds": first_cpu,
            "seconds": seconds,
            "cpu_seconds": cpu,
            "residual": solution.diagnostics["residual"],
            "quadrature_error": solution.diagnostics["quadrature_error"],
        }
        if problem.loss.name in ("logistic", "softmax") and not problem.dims:
            row.update(peer(problem, float(solution["test_error"])))
        if problem.loss.name in ("logistic", "hinge") and not problem.dims:
            row.update(plain(problem, float(solution["test_error"])))
        rows.append(row)
    return {"rows": rows, "dimension": DIMENSION, "wanted_se": WANTED}


def plain(problem: Any, found: float) -> dict[str, float]:
    """Seconds of the processor of a fixed point in NumPy, and its deviation."""
    seconds, error = [], 0.0
    for _ in range(3):
        began = time.process_time()
        error, _count = fixed_point.test_error(problem)
        seconds.append(time.process_time() - began)
    return {"numpy_cpu_seconds": float(np.median(seconds)), "numpy_deviation": error - found}


def peer(problem: Any, exact: float) -> dict[str, float]:
    """Seconds that scikit-learn fits for a standard error of 1e-3, from the spread of a few fits.

    `LogisticRegression` as it comes, which is less exact than the fits of `simulate`; only `fit` is
    timed. The test error of each fit is computed from its weights, on no samples.
    """
    from sklearn.linear_model import LogisticRegression

    mixture, times, errors = problem.mixture, [], []
    count = round(float(problem.alpha) * DIMENSION)
    task = task_of(problem, float(problem.strength))
    for run in range(FITS):
        generator = np.random.default_rng(run)
        at = instance(mixture, DIMENSION, generator)
        sample = draw(mixture, at, count, generator)
        features, label = sample.x / np.sqrt(DIMENSION), mixture.labels[sample.cluster]
        model = LogisticRegression(C=1 / task.strength, max_iter=1000)
        began = time.perf_counter()
        model.fit(features, label)
        times.append(time.perf_counter() - began)
        found = Classifier(model.coef_, model.intercept_)
        measured = measure_fit(problem, task, at, sample, found, float(problem.alpha))
        errors.append(float(measured["test_error"]))
    needed = max(1.0, float(np.var(errors, ddof=1)) / WANTED**2)
    return {
        "peer_seconds_a_fit": min(times),
        "peer_fits": needed,
        "peer_seconds": min(times) * needed,
        "peer_deviation": float(np.mean(errors)) - exact,
        "peer_se": float(np.std(errors, ddof=1)) / np.sqrt(FITS),
    }


def table(measured: dict[str, Any]) -> list[str]:
    """Lines for people."""
    head = f"{'problem':<34}{'first call':>12}{'(cpu)':>10}{'again':>12}{'(cpu)':>12}"
    head += f"{'residual':>11}{'quadrature':>12}{'NumPy (cpu)':>14}"
    lines = [f"{head}{'scikit-learn':>15}{'deviation':>20}"]
    for row in measured["rows"]:
        line = (
            f"{row['problem']:<34}{row['first_seconds']:>10.2f} s{row['first_cpu_seconds']:>8.2f} s"
            f"{row['seconds']:>10.4f} s{row['cpu_seconds']:>10.4f} s"
            f"{row['residual']:>11.1e}{row['quadrature_error']:>12.1e}"
        )
        numpy = f"{row['numpy_cpu_seconds']:.4f} s" if "numpy_cpu_seconds" in row else ""
        line += f"{numpy:>14}"
        if "peer_seconds" in row:
            deviation = f"{row['peer_deviation']:+.4f} ± {row['peer_se']:.4f}"
            line += f"{row['peer_seconds']:>13.2f} s{deviation:>20}"
        lines.append(line)
    lines.append(
        f"scikit-learn: seconds of fits in {measured['dimension']} dimensions until the standard "
        f"error of the test error is {measured['wanted_se']:g}; deviation of {FITS} fits"
    )
    return lines


def _timed(problem: Any) -> tuple[float, float, Any]:
    """Seconds, seconds of the processor, and the result."""
    began, busy = time.perf_counter(), time.process_time()
    solution = op.solve(problem, progress=False)
    return time.perf_counter() - began, time.process_time() - busy, solution
