"""Run the benchmarks: print tables and write the numbers to a file.

    python benchmarks/run.py [--only NAME] [--quick] [--output FILE] [--reference]

Parts: `accuracy` (seconds to 1 %), `steps` (exponent of time in the number of steps), `memory`
(peak against prediction), `networks` (finite networks against theory, at equal error), `peer` (the
alternating scheme), `mixtures` (learning curves), `online` (one-pass SGD), `start` (import, first
call, second process), `threads` (one and two threads, simulated devices), `curve` (seconds against
error of theory and of the cheapest ensemble, with a figure) and, only when named, `endurance` (an
hour). Numbers come from processes of their own, on one core where nothing else is said. In full
about twenty minutes, `--quick` under four; keep the machine free of other work meanwhile.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import accuracy
import cost
import curve
import endurance
import mixtures
import networks
import online
import peer
import problems
import start
import threads

import orderparam as op

PARTS = {
    "accuracy": (accuracy.measure, accuracy.table),
    "steps": (cost.measure_steps, cost.table_steps),
    "memory": (cost.measure_memory, cost.table_memory),
    "networks": (networks.measure, networks.table),
    "peer": (peer.measure, peer.table),
    "mixtures": (mixtures.measure, mixtures.table),
    "online": (online.measure, online.table),
    "start": (start.measure, start.table),
    "threads": (threads.measure, threads.table),
    "curve": (curve.measure, curve.table),
    "endurance": (endurance.measure, endurance.table),
}
LONG = ("endurance",)
"""Parts that run only when they are named."""


TITLES = {
    "accuracy": "Seconds to a loss curve within 1 % (one core)",
    "steps": "Time against the number of steps at a fixed total time (one core)",
    "memory": "Peak memory against the prediction",
    "networks": "Finite networks against theory at equal error (one core each)",
    "peer": "The alternating scheme against the causal method (one core)",
    "mixtures": "Classifiers on Gaussian mixtures, seconds once compiled (all cores)",
    "online": "One-pass SGD: equations, chain and direct training (one core each)",
    "start": "What comes before the first number (one core)",
    "threads": "Forty inputs over two hundred steps: threads; B0 in 20 steps: simulated devices",
    "curve": "Seconds against error: theory and the cheapest ensemble (one core each)",
    "endurance": "A hundred samples over a thousand steps, and a million steps (one core)",
}

OUTPUT = Path(__file__).with_name("results.json")


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    packages = ("jax", "jaxlib", "equinox", "numpy", "scipy")
    versions = {name: importlib.metadata.version(name) for name in packages}
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "used_cores": 1,
        "load_at_start": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "orderparam": op.__version__,
        **versions,
        "precision": "theory float64, networks float32",
    }


def _cpu_name() -> str:
    """The name of the processor, which Python itself does not know on Linux."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text(encoding="utf-8").splitlines() if listing.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def run(parts: list[str], quick: bool, output: Path) -> dict[str, Any]:
    """Measure the parts in order; what is done is printed and written after each."""
    results: dict[str, Any] = {"machine": machine(), "quick": quick}
    print("\n".join(f"{key}: {value}" for key, value in results["machine"].items()))
    for name in parts:
        measure, table = PARTS[name]
        began = time.perf_counter()
        try:
            results[name] = measure(quick, results)
            lines = table(results[name])
        except RuntimeError as error:  # the other parts are still worth measuring
            results[name], lines = {"failed": str(error)}, [f"FAILED: {error}"]
        seconds = time.perf_counter() - began
        print(f"\n{TITLES[name]}; measured in {seconds:.0f} s", *lines, sep="\n", flush=True)
        output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return results


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Benchmarks of orderparam.")
    parser.add_argument("--only", choices=PARTS, help="one part instead of all")
    parser.add_argument("--quick", action="store_true", help="small sizes, under 90 seconds")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="file for the numbers")
    parser.add_argument(
        "--reference", action="store_true", help="make the reference curves anew (minutes)"
    )
    options = parser.parse_args()
    if options.reference:
        problems.make_reference()
        return
    parts = [options.only] if options.only else [name for name in PARTS if name not in LONG]
    results = run(parts, options.quick, options.output)
    if any("failed" in results[name] for name in parts):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
