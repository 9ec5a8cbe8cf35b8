"""Runs that must be possible: many samples over many steps, and a million steps.

`digits`: P = 100, T = 1000, three tanh layers, two replicates. `million`: P = 4, two tanh layers,
1024 points, a million steps saved on a grid. Together about an hour on one core, so that they are
run only when named: `python benchmarks/run.py --only endurance`.
"""

import time
from typing import Any

import isolated

import orderparam as op
from orderparam.kernels import MLP, Causal, KernelEvolution

LIMITS = {"digits": (1800.0, 8 * 2**30), "million": (900.0, 2**31)}
"""Seconds and bytes that each run may take."""


def digits() -> dict[str, Any]:
    """A hundred digits over a thousand steps (in a process of its own)."""
    data = op.data.digits(classes=(0, 1), count=50)
    problem = KernelEvolution(MLP(3, "tanh"), data, gamma0=1.0, learning_rate=0.1, steps=1000)
    return _run(problem, Causal(samples=4096, replicates=2, tolerance=1e-3))


def million() -> dict[str, Any]:
    """A small problem over a million steps (in a process of its own)."""
    data = op.data.gaussian(count=4, dimension=8, seed=1)
    problem = KernelEvolution(MLP(2, "tanh"), data, learning_rate=3e-5, steps=1_000_000)
    return _run(problem, Causal(samples=1024, replicates=2, tolerance=1e-3))


def _run(problem: KernelEvolution, method: Causal) -> dict[str, Any]:
    predicted = op.estimate(problem, method)
    began, used = time.perf_counter(), time.process_time()
    solution = op.solve(problem, method, save=op.SavePlan(steps=101), throw=False)
    diagnostics = solution.diagnostics
    return {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - used,
        "predicted_seconds": predicted.seconds,
        "predicted_bytes": predicted.memory,
        "verdict": solution.verdict.value,
        "ranks": diagnostics["ranks"],
        "loss": [float(solution["loss"][i]) for i in (0, -1)],
        "loss_standard_error": diagnostics["loss_standard_error"],
        "truncation_bias": diagnostics["truncation_bias"],
    }


def measure(quick: bool, results: dict[str, Any]) -> dict[str, Any]:
    """Both runs, one after the other; nothing in a quick round."""
    del results
    names = [] if quick else list(LIMITS)
    return {name: isolated.call(f"endurance:{name}", limit=3600.0) for name in names}


def table(measured: dict[str, Any]) -> list[str]:
    """Lines for people."""
    lines = ["run       seconds    CPU s  allowed  peak GiB  allowed  verdict, ranks, loss errors"]
    for name, row in measured.items():
        seconds, memory = LIMITS[name]
        lines.append(
            f"{name:8}  {row['seconds']:7.0f}  {row['cpu_seconds']:7.0f}  {seconds:7.0f}  "
            f"{row['peak_bytes'] / 2**30:8.2f}  {memory / 2**30:7.0f}  {row['verdict']}, "
            f"{row['ranks']}, {row['loss_standard_error']:.1e} and {row['truncation_bias']:.1e}"
        )
    return lines
