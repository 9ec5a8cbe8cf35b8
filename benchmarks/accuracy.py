"""Seconds that the theory needs to give the loss curve to 1 %, compilation and run apart."""

import time
from collections.abc import Sequence
from typing import Any

import isolated
import problems

import orderparam as op

SEEDS = 3
"""A setting counts as accurate only if every one of so many seeds is."""

SWEEP: dict[str, list[tuple[int, int, float]]] = {
    "b0": [(1024, 2, 1e-3), (1024, 4, 1e-3), (2048, 2, 1e-3), (2048, 2, 3e-4), (4096, 2, 1e-4)],
    "sister": [(1024, 2, 1e-3), (1024, 4, 1e-3), (2048, 2, 3e-4)],
}
"""Settings (samples, replicates, tolerance) of the causal method."""

QUICK: dict[str, list[tuple[int, int, float]]] = {"sister": [(1024, 2, 1e-3)]}


def attempt(name: str, samples: int, replicates: int, tolerance: float) -> dict[str, Any]:
    """Solve with several seeds (in a process of its own, see `isolated`).

    Args:
        name: The problem.
        samples: Points of each space.
        replicates: Independent scramblings.
        tolerance: Relative squared norm of a direction that is dropped.

    Returns:
        `compile_seconds` of the first call, `run_seconds` of the second, by the clock on the wall
        and with everything `solve` does (`run_cpu_seconds`: of the processor, which tells how much
        other work disturbed the measurement); the largest error of the curve over the seeds and the
        largest relative error at the last step.
    """
    method = op.kernels.Causal(samples=samples, replicates=replicates, tolerance=tolerance)
    problem, (truth, _) = problems.problem(name), problems.reference(name)
    calls, processor, errors, ranks = [], [], [], {}
    for seed in range(SEEDS):
        began, used = time.perf_counter(), time.process_time()
        solution = op.solve(problem, method, seed=seed, progress=False, throw=False)
        calls.append(time.perf_counter() - began)
        processor.append(time.process_time() - used)
        errors.append(problems.error(solution["mse"].values, truth))
        ranks = solution.diagnostics["ranks"]
    return {
        "compile_seconds": calls[0] - calls[1],
        "run_seconds": calls[1],
        "run_cpu_seconds": processor[1],
        "error": max(curve for curve, _ in errors),
        "error_last_step": max((last for _, last in errors), key=abs),
        "ranks": ranks,
        "samples": samples,
        "replicates": replicates,
        "tolerance": tolerance,
    }


def fastest(rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The row with the shortest run among those whose every seed reaches the goal."""
    accurate = [row for row in rows if row["error"] <= problems.GOAL]
    return min(accurate, key=lambda row: row["run_seconds"], default=None)


def measure(quick: bool, results: dict[str, Any]) -> dict[str, Any]:
    """Sweep over the settings of each problem; the fastest accurate one is `best`."""
    del results
    measured = {}
    for name, settings in (QUICK if quick else SWEEP).items():
        rows = [
            isolated.call("accuracy:attempt", name=name, samples=s, replicates=r, tolerance=t)
            for s, r, t in settings
        ]
        _, se = problems.reference(name)
        measured[name] = {"rows": rows, "best": fastest(rows), "reference_error": float(se.max())}
    return measured


def table(measured: dict[str, Any]) -> list[str]:
    """Lines for people; the fastest setting within the goal is marked with a star."""
    head = (
        "problem  samples  repl.  toler.  compile   run s   CPU s   error of curve   at last step"
    )
    lines = [head + "   (worst of 3 seeds)"]
    for name, part in measured.items():
        for row in part["rows"]:
            mark = " *" if row == part["best"] else ""
            lines.append(
                f"{name:7}  {row['samples']:7}  {row['replicates']:5}  {row['tolerance']:6.0e}  "
                f"{row['compile_seconds']:7.1f}  {row['run_seconds']:6.2f}  "
                f"{row['run_cpu_seconds']:6.2f}  {row['error']:15.2%}  "
                f"{row['error_last_step']:13.1%}{mark}"
            )
        if part["best"] is None:
            lines.append(f"{name:7}  no setting gives the curve to {problems.GOAL:.0%} every time")
    return lines
