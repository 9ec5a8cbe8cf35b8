"""Is this checkout slower than another? Paired runs, so that a busy machine disturbs both alike.

    python benchmarks/paired.py [--base REVISION] [--rounds N] [--store]

Each case runs in new processes in turns, with the source of the base revision and with that of this
folder. The gate is the median over rounds of the ratio of processor seconds: above 1 + 15 %, the
exit code is 1; below 1 - 15 %, the stored baseline of this machine is out of date, which is said.
`--store` makes the current commit the baseline of this machine (`baselines/MACHINE.json`), which
is what later runs compare with where no `--base` is given.
"""

import argparse
import contextlib
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent
ALLOWED = 0.15
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "kernels: B0": (
        "accuracy:attempt",
        {"name": "b0", "samples": 1024, "replicates": 2, "tolerance": 1e-2},
    ),
    "mixtures: hinge": ("paired:one_point", {"loss": "hinge"}),
    "online: trajectory": ("paired:trajectory", {}),
}
"""A measurement for each family and its arguments; each returns `run_cpu_seconds`."""


def one_point(loss: str) -> dict[str, Any]:
    """Processor seconds of a warm point of a learning curve (in a process of its own)."""
    import orderparam as op

    mixture = op.mixtures.blocks((0.5,))
    problem = op.mixtures.MixtureERM(mixture, loss, "l2", 0.1, 3.0)
    return _seconds(lambda seed: op.solve(problem, seed=seed, progress=False), 50)


def trajectory() -> dict[str, Any]:
    """Processor seconds of a warm trajectory of overlaps (in a process of its own)."""
    import orderparam as op

    start = op.online.random_overlaps(4, 2, 1000, norm=2 / 3)
    problem = op.online.TeacherStudent(start, learning_rate=0.1, duration=100.0)
    return _seconds(lambda seed: op.solve(problem, seed=seed, progress=False), 50)


def _seconds(call: Any, repeats: int) -> dict[str, Any]:
    import time

    call(0)
    used = time.process_time()
    for seed in range(repeats):
        call(seed)
    return {"run_cpu_seconds": (time.process_time() - used) / repeats}


def measure(source: Path, function: str, arguments: dict[str, Any]) -> float:
    """Processor seconds of a case with the library of one checkout."""
    command = [sys.executable, str(FOLDER / "isolated.py"), function, json.dumps(arguments)]
    environment = {**os.environ, "PYTHONPATH": str(source), "NPROC": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=True)
    return json.loads(done.stdout.splitlines()[-1])["run_cpu_seconds"]


@contextlib.contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """The source folder of a revision, for a while."""
    with tempfile.TemporaryDirectory() as folder:
        place = str(Path(folder) / "base")
        git("worktree", "add", "--detach", "--quiet", place, revision)
        try:
            yield Path(place) / "src"
        finally:
            git("worktree", "remove", "--force", place)


def git(*arguments: str) -> str:
    """What git answers."""
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"git {' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.stdout.strip()


def baseline() -> Path:
    """The file of this machine: processor and cores, without a name of the host."""
    import run

    machine = run.machine()
    words = f"{machine['cpu']} {machine['cores']} {machine['system']}"
    return FOLDER / "baselines" / f"{hashlib.sha256(words.encode()).hexdigest()[:12]}.json"


def compare(base: str, rounds: int) -> dict[str, dict[str, float]]:
    """Median seconds of both and median ratio for each case."""
    rows = {}
    with checkout(base) as other:
        for name, (function, arguments) in CASES.items():
            pairs = [
                (measure(other, function, arguments), measure(ROOT / "src", function, arguments))
                for _ in range(rounds)
            ]
            before, after = (median(values) for values in zip(*pairs, strict=True))
            ratio = median(new / old for old, new in pairs)
            rows[name] = {"base": before, "here": after, "ratio": ratio}
            print(f"{name:20} base {before:8.4f} s  here {after:8.4f} s  ratio {ratio:5.2f}")
    return rows


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Paired benchmark of two checkouts.")
    parser.add_argument("--base", help="revision to compare with")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--store", action="store_true", help="make this commit the baseline")
    options = parser.parse_args()
    file = baseline()
    base = options.base or (json.loads(file.read_text())["revision"] if file.exists() else "HEAD")
    rows = compare(base, options.rounds)
    if options.store:
        file.parent.mkdir(exist_ok=True)
        stored = {"revision": git("rev-parse", "HEAD"), "cases": rows}
        file.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    slower = [name for name, row in rows.items() if row["ratio"] > 1 + ALLOWED]
    faster = [name for name, row in rows.items() if row["ratio"] < 1 - ALLOWED]
    if faster:
        print(f"Faster by more than {ALLOWED:.0%}, store a new baseline: {', '.join(faster)}")
    if slower:
        raise SystemExit(f"Slower by more than {ALLOWED:.0%}: {', '.join(slower)}")


if __name__ == "__main__":
    main()
