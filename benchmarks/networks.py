"""Seconds that finite networks need to give the loss curve to 1 %, beside those of the theory.

Equal care on both sides: one core, compiled beforehand, measured in the same run. The networks are
trained in single precision and observed at few steps, so that observing costs them little. A number
of networks counts as enough if each of three disjoint groups of so many has a mean curve within 1 %
of the reference, as the theory must be with each of three seeds.
"""

import time
from typing import Any

import isolated
import numpy as np
import problems
from jaxtyping import Float

import orderparam as op
from orderparam.results import Solution

GROUPS = 3
WIDTHS = (512, 1024, 2048)
BUDGET = 35.0
"""Seconds of training for each width, at most."""

OBSERVED = 21
"""Observed steps, first and last included."""

LARGEST = 96
"""Networks of one width, at most."""

FALLBACK = {"b0": (1024, 4, 1e-3), "sister": (1024, 2, 1e-3)}
"""Settings of the theory where no fastest one was measured in the same run."""


def train(name: str, width: int, budget: float) -> dict[str, Any]:
    """Train as many networks of a width as fit in `budget` seconds (in a process of its own).

    Returns:
        `curves`, the error of each network at `steps`, and `seconds` and `cpu_seconds` (on the
        wall, of the processor) of one network, without compilation.
    """
    problem, save = problems.problem(name), op.SavePlan(steps=OBSERVED)

    def simulate(seeds: int, seed: int) -> tuple[Solution, float]:
        began = time.perf_counter()
        solution = op.simulate(
            problem, width=width, seeds=seeds, save=save, seed=seed, progress=False
        )
        return solution, time.perf_counter() - began

    simulate(1, 0)
    _, once = simulate(1, 1)
    count = int(np.clip(budget / once, GROUPS, LARGEST)) // GROUPS * GROUPS
    used = time.process_time()
    solution, total = simulate(count, 2)
    used = time.process_time() - used
    mse = solution["mse"].transpose("width", "seed", "time").values[0]
    return {
        "width": width,
        "networks": count,
        "seconds": total / count,
        "cpu_seconds": used / count,
        "steps": solution["mse"]["time"].values.tolist(),
        "curves": mse.tolist(),
    }


def group_errors(
    curves: Float[np.ndarray, "run time"], truth: Float[np.ndarray, " step"], steps: list[int]
) -> Float[np.ndarray, " size"]:
    """Worst error of the mean curve over the groups, for groups of 1, 2, ... networks."""
    largest = len(curves) // GROUPS
    groups = [curves[g::GROUPS] for g in range(GROUPS)]
    return np.array(
        [
            max(problems.error(group[:size].mean(axis=0), truth, steps)[0] for group in groups)
            for size in range(1, largest + 1)
        ]
    )


def summary(trained: dict[str, Any], truth: Float[np.ndarray, " step"]) -> dict[str, Any]:
    """Fewest networks of one width that are enough, or the best error that was reached."""
    curves, steps = np.array(trained["curves"]), trained["steps"]
    errors = group_errors(curves, truth, steps)
    enough = np.flatnonzero(errors <= problems.GOAL)
    needed = int(enough[0]) + 1 if enough.size else None
    used = len(errors) if needed is None else needed
    row = {key: trained[key] for key in ("width", "networks")}
    return row | {
        "seconds_each": trained["seconds"],
        "needed": needed,
        "error": float(errors[used - 1]),
        "seconds": used * trained["seconds"],
        "cpu_seconds": used * trained["cpu_seconds"],
        "error_of_all": problems.error(curves.mean(axis=0), truth, steps)[0],
        "spread": float(curves.std(axis=0, ddof=1).max() / truth[0]),
    }


def measure(quick: bool, results: dict[str, Any]) -> dict[str, Any]:
    """Networks of each width and the theory, on the small sister if `quick`, else on B0."""
    name = "sister" if quick else "b0"
    widths, budget = ((256,), 5.0) if quick else (WIDTHS, BUDGET)
    truth, _ = problems.reference(name)
    trained = [isolated.call("networks:train", name=name, width=w, budget=budget) for w in widths]
    rows = [summary(row, truth) for row in trained]
    theory = _theory(name, results.get("accuracy", {}).get(name, {}).get("best"))
    reached = [row for row in rows if row["needed"]]
    best = min(reached, key=lambda row: row["seconds"], default=None)
    ratio = best["seconds"] / theory["run_seconds"] if best else None
    cpu_ratio = best["cpu_seconds"] / theory["run_cpu_seconds"] if best else None
    ratios = {"ratio": ratio, "cpu_ratio": cpu_ratio}
    return {"problem": name, "rows": rows, "theory": theory, "best": best, **ratios}


def _theory(name: str, best: dict[str, Any] | None) -> dict[str, Any]:
    """The theory with its fastest accurate setting, measured anew right beside the networks."""
    names = ("samples", "replicates", "tolerance")
    values = FALLBACK[name] if best is None else [best[key] for key in names]
    setting = dict(zip(names, values, strict=True))
    return isolated.call("accuracy:attempt", name=name, **setting)


def table(measured: dict[str, Any]) -> list[str]:
    """Lines for people."""
    lines = ["problem  width  trained  s each  enough  seconds  error   error of all  one network"]
    for row in measured["rows"]:
        enough = row["needed"] or f"> {row['networks'] // GROUPS}"
        lines.append(
            f"{measured['problem']:7}  {row['width']:5}  {row['networks']:7}  "
            f"{row['seconds_each']:6.2f}  {enough:>6}  {row['seconds']:7.1f}  {row['error']:5.1%}  "
            f"{row['error_of_all']:13.1%}  {row['spread']:13.1%}"
        )
    theory, ratios = measured["theory"], (measured["ratio"], measured["cpu_ratio"])
    lines.append(
        f"theory: {theory['run_seconds']:.2f} s ({theory['run_cpu_seconds']:.2f} s of CPU) "
        f"for an error of {theory['error']:.1%}"
    )
    text = "not reached by the networks"
    if measured["best"] is not None:
        text = "{:.2f}, of CPU {:.2f}".format(*ratios)
    return [*lines, f"networks / theory, seconds to {problems.GOAL:.0%}: {text}"]
