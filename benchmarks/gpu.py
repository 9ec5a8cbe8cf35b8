"""The theory on an accelerator: B0, and P = 100 inputs over T = 1000 steps with S = 16384 points.

    python benchmarks/gpu.py [--quick] [--output FILE]

Theory runs in float64 on any device. Its results on an accelerator are those of the processor to
1e-8 of the start of the loss while the same directions are recorded (sums are taken in another
order); networks trained in float32 agree to 1e-4 with those trained on the processor. Where
several devices are visible the points are shared by all. `--quick` takes S = 1024 and T = 50, as a
machine without an accelerator does by itself.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import problems
import threads

import orderparam as op

SIZES = {False: (100, 1000, 16384), True: (10, 50, 1024)}
"""Inputs, steps and samples in full, and if quick."""

THEORY_TOLERANCE = 1e-8
"""Largest deviation of the loss of B0 from the processor's, in units of its start."""

NETWORK_TOLERANCE = 1e-4
"""The same of networks in float32."""


def timed(problem: Any, method: op.kernels.Causal) -> dict[str, Any]:
    """First and second call, and the loss."""
    save, calls, solution = op.SavePlan(steps=21), [], None
    for _ in range(2):
        began = time.perf_counter()
        solution = op.solve(problem, method, save=save, progress=False, throw=False)
        calls.append(time.perf_counter() - began)
    assert solution is not None
    return {
        "first": calls[0],
        "second": calls[1],
        "loss": solution["loss"].values.tolist(),
        "ranks": solution.diagnostics["ranks"],
    }


def on_processor(call: Any) -> Any:
    """The result of a call whose arrays live on the processor."""
    with jax.default_device(jax.devices("cpu")[0]):
        return call()


def agreement() -> dict[str, float]:
    """Largest deviation of device and processor, theory and networks, on B0."""
    method = op.kernels.Causal(samples=1024, replicates=2, tolerance=1e-2)
    problem, save = problems.problem(), op.SavePlan(steps=21)

    def theory() -> np.ndarray:
        solution = op.solve(problem, method, save=save, progress=False, throw=False)
        return solution["loss"].values

    def nets() -> np.ndarray:
        solution = op.simulate(problem, width=256, seeds=2, save=save, progress=False)
        return solution["loss"].values

    deviations = {}
    for name, call in {"theory": theory, "networks": nets}.items():
        here, there = call(), on_processor(call)
        deviations[name] = float(np.abs(here - there).max() / np.abs(there).max())
    return deviations


def measure(quick: bool) -> dict[str, Any]:
    """Seconds of both problems, and the agreement with the processor."""
    inputs, steps, samples = SIZES[quick]
    count = jax.device_count()
    shared = 2 ** int(np.log2(count))
    b0 = op.kernels.Causal(samples=1024 if quick else 16384, replicates=2, tolerance=1e-2)
    large = op.kernels.Causal(samples=samples, replicates=2, tolerance=1e-2, devices=shared)
    return {
        "device": jax.devices()[0].device_kind,
        "devices": count,
        "versions": {"orderparam": op.__version__, "jax": jax.__version__},
        "b0": timed(problems.problem(), b0),
        "large": {
            "inputs": inputs,
            "steps": steps,
            "samples": samples,
            **timed(threads.problem(inputs, steps), large),
        },
        "agreement": agreement(),
    }


def main() -> None:
    """Read the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description="Theory on an accelerator.")
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--output", type=Path, default=Path("gpu.json"))
    options = parser.parse_args()
    results = measure(options.quick or jax.default_backend() == "cpu")
    options.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"{results['devices']} x {results['device']}")
    for name in ("b0", "large"):
        row = results[name]
        print(f"{name:6} first {row['first']:8.2f} s  second {row['second']:8.2f} s")
    found = results["agreement"]
    print(f"deviation from the processor: {found}")
    if found["theory"] > THEORY_TOLERANCE or found["networks"] > NETWORK_TOLERANCE:
        raise SystemExit("The device and the processor disagree.")


if __name__ == "__main__":
    main()
