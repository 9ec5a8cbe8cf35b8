"""Whatever is given to the library, it works or is refused by one of its own errors."""

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import orderparam

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent
PUBLIC = ("data", "kernels", "mixtures", "online", "experts", "fluctuations")


def _table(*wanted: str) -> dict:
    """Run the table without the type checks of these tests, which users do not have."""
    settings = {"PYTHONPATH": str(ROOT / "src"), "JAX_PLATFORMS": "cpu", "MPLBACKEND": "Agg"}
    ended = subprocess.run(
        [sys.executable, str(FOLDER / "table.py"), *wanted],
        capture_output=True, text=True, env={**os.environ, **settings}, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-2000:]
    return json.loads(ended.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def fast() -> dict:
    return _table("fast")


def _said(failures: list) -> str:
    lines = [" | ".join(failure) for failure in failures]
    return f"{len(lines)} inputs fail:\n" + "\n".join(lines[:40])


def test_values_work_or_meet_our_errors(fast):
    assert fast["values"] >= 100
    assert fast["tried"] > 60_000
    assert not fast["failures"], _said(fast["failures"])


def test_every_public_name_is_in_the_table(fast):
    left_out = _table("names")["left_out"]
    public = {
        f"{family}.{name}"
        for family in PUBLIC
        for name in importlib.import_module(f"orderparam.{family}").__all__
    }
    tried = set(fast["cases"])
    assert public - tried == set(left_out), "Add a case to registry.py, or a reason to LEFT_OUT."
    assert all(left_out.values())
    verbs = {name for name in orderparam.__all__ if name not in PUBLIC}
    assert verbs <= {name.split()[0] for name in tried}


@pytest.mark.validate
def test_all_values_for_all_arguments():
    whole = _table("all")
    assert not whole["failures"], _said(whole["failures"])


def test_no_family_checks_plain_numbers_itself():
    """Such checks live in `support/arguments`, so that all messages are alike."""
    found = []
    for path in sorted((ROOT / "src/orderparam").rglob("*.py")):
        if path.parent.name in ("support", "studies"):
            continue
        lines = path.read_text(encoding="utf-8").splitlines()
        found += [
            f"{path}:{number}"
            for number, line in enumerate(lines, 1)
            if re.search(r"isinstance\(\w+, bool\)", line)
        ]
    assert not found
