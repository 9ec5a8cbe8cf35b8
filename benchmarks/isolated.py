"""Measure in a new process that is kept on few cores, so that nothing is compiled beforehand.

A measurement is a function named "module:function" in this folder; it takes and returns plain JSON
values. Run as a script, this file is the new process.
"""

import importlib
import json
import os
import resource
import subprocess
import sys
from typing import Any

LIMIT = 300.0
"""Seconds after which a measurement is usually given up."""

UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in which the operating system counts the peak memory of a process."""


CORES = "ORDERPARAM_BENCHMARK_CORES"
"""Environment variable with the number of cores of the new process."""


def call(
    function: str, limit: float = LIMIT, cores: int = 1, flags: str = "", **arguments: Any
) -> dict[str, Any]:
    """Result of a measurement in a new process.

    Args:
        function: The measurement, as "module:function".
        limit: Seconds after which it is given up.
        cores: Cores, and threads of XLA, that it may use.
        flags: Flags of XLA.
        **arguments: Its arguments, plain JSON values.

    Returns:
        What it returned, with `peak_bytes`, the largest memory of the process, and `pinned`,
        whether it was kept on its cores.

    Raises:
        RuntimeError: If the process failed (its own message is on the error stream) or had no
            result in time.
    """
    command = [sys.executable, __file__, function, json.dumps(arguments)]
    threads = {name: str(cores) for name in (CORES, "NPROC", "OMP_NUM_THREADS")}
    environment = {**os.environ, **threads, "XLA_FLAGS": flags}
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, timeout=limit, env=environment
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"{function} had no result within {limit:.0f} s") from error
    if done.returncode != 0:
        raise RuntimeError(f"{function} with {arguments} failed with code {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def pin() -> bool:
    """Keep this process on its cores, where the operating system can; must precede JAX."""
    cores = int(os.environ.get(CORES, 1))
    if not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < cores:
        return False
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-cores:])
    return True


def main(function: str, arguments: str) -> None:
    """Pin, measure and print the result as the last line."""
    pinned = pin()
    module, name = function.split(":")
    result = getattr(importlib.import_module(module), name)(**json.loads(arguments))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT
    print(json.dumps({**result, "pinned": pinned, "peak_bytes": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:])
