"""The alternating scheme of the paper beside the causal method, at stated errors of both.

Both solve the small sister of B0 (P = 4, T = 20, L = 3) on one core, compiled beforehand, with two
replicates each. An error is the worst of three seeds against the same reference curve.
"""

import time
from typing import Any

import isolated
import problems

import orderparam as op

SEEDS = 3

CAUSAL = [(1024, 1e-3), (2048, 3e-4)]
"""Samples and tolerance of the causal method."""

ALTERNATING = [(256, 1e-3), (1024, 1e-3), (2048, 1e-4)]
"""Samples and tolerance of the iteration."""


def attempt(method: str, samples: int, tolerance: float) -> dict[str, Any]:
    """Seconds of a compiled solve and the worst error (in a process of its own)."""
    kinds = {"causal": op.kernels.Causal, "alternating": op.kernels.Alternating}
    chosen = kinds[method](samples=samples, replicates=2, tolerance=tolerance)
    problem, (truth, _) = problems.problem("sister"), problems.reference("sister")
    seconds, errors, rounds = [], [], None
    for seed in range(SEEDS):
        used = time.process_time()
        solution = op.solve(problem, chosen, seed=seed, progress=False)
        seconds.append(time.process_time() - used)
        errors.append(problems.error(solution["mse"].values, truth)[0])
        rounds = solution.diagnostics.get("rounds", rounds)
    setting = {"method": method, "samples": samples, "tolerance": tolerance}
    return setting | {"seconds": min(seconds[1:]), "error": max(errors), "rounds": rounds}


def measure(quick: bool, results: dict[str, Any]) -> dict[str, Any]:
    """All settings; the ratio is that of the fastest of each method within the goal."""
    del results
    settings = [("causal", *s) for s in CAUSAL] + [("alternating", *s) for s in ALTERNATING]
    rows = [
        isolated.call("peer:attempt", method=m, samples=s, tolerance=t)
        for m, s, t in (settings[:1] + settings[2:3] if quick else settings)
    ]
    best = {
        method: min(
            (r for r in rows if r["method"] == method and r["error"] <= problems.GOAL),
            key=lambda r: r["seconds"],
            default=None,
        )
        for method in ("causal", "alternating")
    }
    ratio = None
    if all(best.values()):
        ratio = best["alternating"]["seconds"] / best["causal"]["seconds"]
    return {"rows": rows, "best": best, "ratio": ratio}


def table(measured: dict[str, Any]) -> list[str]:
    """Lines for people."""
    lines = ["method       samples  toler.   CPU s   error of curve   rounds"]
    for row in measured["rows"]:
        mark = " *" if row == measured["best"][row["method"]] else ""
        lines.append(
            f"{row['method']:11}  {row['samples']:7}  {row['tolerance']:6.0e}  "
            f"{row['seconds']:6.2f}  {row['error']:15.2%}   {row['rounds'] or ''}{mark}"
        )
    if measured["ratio"] is not None:
        lines.append(f"alternating / causal at an error within 1 %: {measured['ratio']:.0f} times")
    return lines
