"""One thread against two, and one device against several, on P = 40 inputs over 200 steps.

The devices are simulated: they share the cores of one machine, so that nothing is gained from them;
what the exchange between them costs is what shows.
"""

import os
import time
from typing import Any

import isolated
import numpy as np

import orderparam as op

INPUTS, DIMENSION, STEPS = 40, 50, 200
SAMPLES, TOLERANCE = 1024, 1e-2
DEVICES = (1, 2, 4, 8)
REPEATS = 2


def problem(inputs: int = INPUTS, steps: int = STEPS) -> op.kernels.KernelEvolution:
    """A network of three layers that learns random labels, half of each sign."""
    x = np.random.default_rng(0).standard_normal((inputs, DIMENSION))
    return op.kernels.KernelEvolution(
        network=op.kernels.MLP(depth=3, activation=op.kernels.scaled_tanh(0.8)),
        data=op.data.from_arrays(x, np.repeat([-1.0, 1.0], inputs // 2)),
        gamma0=1.0,
        learning_rate=0.1,
        steps=steps,
    )


def attempt(
    inputs: int = INPUTS, steps: int = STEPS, samples: int = SAMPLES, devices: int = 1
) -> dict[str, Any]:
    """Seconds of a solve once compiled, the shortest of a few (in a process of its own)."""
    method = op.kernels.Causal(samples=samples, replicates=2, tolerance=TOLERANCE, devices=devices)
    save = op.SavePlan(steps=21)
    calls = []
    solution = None
    for seed in range(REPEATS + 1):
        began = time.perf_counter()
        solution = op.solve(
            problem(inputs, steps), method, save=save, seed=seed, progress=False, throw=False
        )
        calls.append(time.perf_counter() - began)
    assert solution is not None
    return {
        "seconds": min(calls[1:]),
        "first": calls[0],
        "loss": float(solution["loss"][-1]),
        "ranks": solution.diagnostics["ranks"],
    }


def measure(quick: bool, results: dict[str, Any]) -> dict[str, Any]:
    """Seconds for each number of threads, and for each number of devices."""
    del results
    size = {"inputs": 10, "steps": 20} if quick else {}
    available = os.cpu_count() or 1
    threads = {
        str(cores): isolated.call("threads:attempt", limit=900, cores=cores, **size)
        for cores in (1, 2)
        if cores <= available
    }
    devices = {
        str(count): isolated.call(
            "threads:attempt",
            limit=900,
            cores=min(2, available),
            flags=f"--xla_force_host_platform_device_count={count}",
            devices=count,
            **{"inputs": 10, "steps": 20},
        )
        for count in (DEVICES[:2] if quick else DEVICES)
    }
    gain = threads["1"]["seconds"] / threads["2"]["seconds"] if "2" in threads else None
    return {"threads": threads, "gain": gain, "devices": devices}


def table(measured: dict[str, Any]) -> list[str]:
    """Lines for people."""
    lines = ["             seconds   last loss"]
    for kind in ("threads", "devices"):
        for count, row in measured[kind].items():
            lines.append(f"{count:>3} {kind:7}  {row['seconds']:7.2f}   {row['loss']:.12f}")
    if measured["gain"] is not None:
        lines.append(f"two threads are {measured['gain']:.2f} times as fast as one")
    return lines
