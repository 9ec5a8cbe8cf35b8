"""What a user waits for before the first number: import, first call, second process (one core)."""

import os
import subprocess
import sys
import tempfile
import time
from typing import Any

import isolated
import problems

import orderparam as op

REPEATS = 5
PEER = "import jax, equinox, xarray"
OURS = "import orderparam.kernels"
GOALS = {"import": 1.3, "first_call": 3.5, "second_process": 3.0}


def _imports(statement: str) -> float:
    """Seconds of an import in a new interpreter, that of the interpreter included."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - began


def solve_b0(samples: int, replicates: int, tolerance: float) -> dict[str, Any]:
    """First and second call of B0 in this process (in a process of its own)."""
    op.keep_compiled()
    method = op.kernels.Causal(samples=samples, replicates=replicates, tolerance=tolerance)
    calls = []
    for seed in range(2):
        began = time.perf_counter()
        op.solve(problems.problem(), method, seed=seed, progress=False, throw=False)
        calls.append(time.perf_counter() - began)
    return {"first": calls[0], "second": calls[1]}


def _process(setting: dict[str, Any], folder: str) -> dict[str, Any]:
    began = time.perf_counter()
    os.environ["ORDERPARAM_CACHE"] = folder
    try:
        row = isolated.call("start:solve_b0", **setting)
    finally:
        del os.environ["ORDERPARAM_CACHE"]
    return {**row, "process": time.perf_counter() - began}


def measure(quick: bool, results: dict[str, Any]) -> dict[str, Any]:
    """Imports taken in turns, then two processes that share a folder of compiled programs."""
    del results
    pairs = [(_imports(OURS), _imports(PEER)) for _ in range(1 if quick else REPEATS)]
    ours, peer = (min(times) for times in zip(*pairs, strict=True))
    setting = {"samples": 1024, "replicates": 2, "tolerance": 1e-2}
    with tempfile.TemporaryDirectory() as folder:
        first = _process(setting, folder)
        second = _process(setting, folder)
    imports = {"ours": ours, "peer": peer, "ratio": ours / peer}
    return {"import": imports, "setting": setting, "first": first, "second": second}


def table(measured: dict[str, Any]) -> list[str]:
    """Lines for people."""
    imports, first, second = measured["import"], measured["first"], measured["second"]
    saved = second["process"] - second["second"]
    return [
        f"{OURS}: {imports['ours']:.2f} s; {PEER}: {imports['peer']:.2f} s; "
        f"ratio {imports['ratio']:.2f} (goal {GOALS['import']})",
        f"B0, first call: {first['first']:.2f} s (goal {GOALS['first_call']}); "
        f"second call: {first['second']:.2f} s",
        f"second process, programs kept: {saved:.2f} s from its start to the solution "
        f"(goal {GOALS['second_process']}), first call {second['first']:.2f} s",
    ]
