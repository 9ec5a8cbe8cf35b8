"""How time grows with the number of steps, and memory against what `estimate` predicts."""

import time
from typing import Any

import isolated
import jax
import jax.numpy as jnp
import numpy as np
import problems

import orderparam as op
from orderparam.errors import CapacityExceeded

TOTAL_TIME = 10.0
"""learning_rate * steps, held fixed while the steps become finer."""

SETTINGS: dict[str, tuple[str, list[int], float]] = {
    "tanh": ("b0", [1024], 1e-3),
    "relu": ("sister", [2048, 4096], 2e-2),
}
"""Problem, samples in the order in which they are tried, and tolerance for each activation."""

MEMORY = [(1024, 1e-3), (16384, 1e-4)]
"""Samples and tolerance on B0; in the small one the compiler and fixed costs dominate."""

ATTEMPTS = 3


def lengths(name: str, activation: str, samples: int, tolerance: float, steps: list[int]) -> dict:
    """Seconds for each number of steps, once compiled (in a process of its own).

    Returns:
        One row for each number of steps, or `capacity`, the message of the library, if the samples
        cannot hold what has to be remembered.
    """
    phi = None if activation == "tanh" else activation
    method = op.kernels.Causal(samples=samples, replicates=2, tolerance=tolerance)
    rows = []
    for total in steps:
        problem = problems.problem(name, phi, TOTAL_TIME / total, total)
        try:
            seconds, solution = _compiled_call(problem, method)
        except CapacityExceeded as error:
            return {"capacity": str(error)}
        final = float(solution["mse"][-1])
        ranks = solution.diagnostics["ranks"]
        rows.append({"steps": total, "seconds": seconds, "ranks": ranks, "final_mse": final})
    return {"rows": rows}


def _compiled_call(problem: Any, method: Any) -> tuple[float, Any]:
    """Seconds of the first call, after one other, in which nothing was compiled."""
    save = op.SavePlan(steps=51)
    seconds, solution = np.inf, None
    for seed in range(ATTEMPTS):
        began = time.perf_counter()
        solution = op.solve(problem, method, save=save, seed=seed, progress=False, throw=False)
        seconds = time.perf_counter() - began
        if solution.dataset.attrs["compile_time"] == 0:
            break
    return seconds, solution


def slope(rows: list[dict[str, Any]]) -> float:
    """Least-squares slope of log seconds on log steps."""
    steps, seconds = (np.log([row[key] for row in rows]) for key in ("steps", "seconds"))
    return float(np.polyfit(steps, seconds, 1)[0])


def measure_steps(quick: bool, results: dict[str, Any]) -> dict[str, Any]:
    """Exponent of time in the number of steps for a smooth and a kinked activation."""
    del results
    steps = [100, 400] if quick else [100, 400, 1600]
    measured = {}
    for activation, (name, tried, tolerance) in SETTINGS.items():
        if quick and activation != "tanh":
            continue
        part: dict[str, Any] = {}
        for samples in tried:
            part = _tried(activation, name, samples, tolerance, steps)
            if "capacity" not in part:
                break
        measured[activation] = part
    return measured


def _tried(
    activation: str, name: str, samples: int, tolerance: float, steps: list[int]
) -> dict[str, Any]:
    setting = {"name": name, "samples": samples, "tolerance": tolerance}
    part = isolated.call("cost:lengths", activation=activation, steps=steps, **setting)
    rows = part.get("rows", [])
    fitted = {"exponent": slope(rows), "exponent_at_end": slope(rows[-2:])} if rows else {}
    return {**setting, **part, **fitted}


def table_steps(measured: dict[str, Any]) -> list[str]:
    """Lines for people."""
    lines = [
        "activation  problem  samples  steps  run s  ranks of both matrices (forward, backward)"
    ]
    for name, part in measured.items():
        for row in part.get("rows", []):
            ranks = " ".join(str(tuple(pair)) for pair in row["ranks"].values())
            head = f"{name:10}  {part['name']:7}  {part['samples']:7}  {row['steps']:5}"
            lines.append(f"{head}  {row['seconds']:5.2f}  {ranks}")
        said = part.get("capacity")
        if said is None:
            said = f"exponent in the steps: {part['exponent']:.2f}"
            said += f" (last two alone, fixed costs matter less: {part['exponent_at_end']:.2f})"
        lines.append(f"{name:10}  {said}")
    return lines


def nothing() -> dict[str, Any]:
    """Import and use JAX in double precision; what any process needs (in one of its own)."""
    with jax.enable_x64(True):
        return {"value": float(jnp.ones(8, dtype="float64").sum())}


def short_solve(samples: int, tolerance: float) -> dict[str, Any]:
    """A few steps of B0: everything is allocated at the start (in a process of its own)."""
    problem = problems.problem("b0", steps=10)
    method = op.kernels.Causal(samples=samples, replicates=2, tolerance=tolerance)
    op.solve(problem, method, progress=False, throw=False)
    return {"predicted": op.estimate(problem, method).memory}


def measure_memory(quick: bool, results: dict[str, Any]) -> dict[str, Any]:
    """Peak memory beyond that of a process that only imports, against the prediction."""
    del results
    base = isolated.call("cost:nothing")["peak_bytes"]
    rows = []
    for samples, tolerance in MEMORY[: 1 if quick else None]:
        part = isolated.call("cost:short_solve", samples=samples, tolerance=tolerance)
        peak, predicted = part["peak_bytes"] - base, part["predicted"]
        row = {"samples": samples, "tolerance": tolerance, "peak": peak, "predicted": predicted}
        rows.append({**row, "ratio": peak / predicted})
    low, high = rows[0], rows[-1]
    gained = {key: high[key] - low[key] for key in ("peak", "predicted")}
    growth = None if quick else gained["peak"] / gained["predicted"]
    return {"base": base, "rows": rows, "growth_ratio": growth}


def table_memory(measured: dict[str, Any]) -> list[str]:
    """Lines for people."""
    lines = [f"a process that only imports: {measured['base'] / 2**20:.0f} MiB; beyond that on B0:"]
    lines.append("samples  toler.  measured MiB  predicted MiB  ratio")
    for row in measured["rows"]:
        lines.append(
            f"{row['samples']:7}  {row['tolerance']:6.0e}  {row['peak'] / 2**20:12.0f}  "
            f"{row['predicted'] / 2**20:13.0f}  {row['ratio']:5.2f}"
        )
    if measured["growth_ratio"] is not None:
        lines.append(f"measured growth / predicted growth: {measured['growth_ratio']:.2f}")
    return lines
