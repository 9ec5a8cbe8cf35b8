"""Ctrl-C and the request to end are answered at any moment, with one sentence and one exit code."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import orderparam as op

# A test runner in the background may itself have been told to ignore the signal.
START = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
SOURCE = str(Path(op.__file__).parents[1])
SAID = {
    signal.SIGINT: (130, "Interrupted."),
    signal.SIGTERM: (143, "Ended on request."),
}
WORK = {
    "waiting": "import time; ready(); time.sleep(60)",
    "compiled code": "import hashlib; ready(); hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)",
    "an exception that is swallowed": """
import time
ready()
for _ in range(60):
    try: time.sleep(1)
    except BaseException: pass
""",
    "an exception that is changed": """
import time
ready()
try: time.sleep(60)
except BaseException: raise ImportError('a module failed')
""",
    "a finaliser": """
class Slow:
    def __del__(self):
        import time
        ready(); time.sleep(60)
Slow()
""",
}


def begun(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", START + code, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": SOURCE},
    )  # fmt: skip


def require_one_sentence(process: subprocess.Popen[str], number: signal.Signals) -> list[str]:
    """End it, and look at what it says; returns what it had said before."""
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    code, word = SAID[number]
    assert process.returncode == code, said
    *before, last = said.splitlines()
    assert last.startswith(f"{word} Finished parts are kept")
    assert said.count(word) == 1
    assert "Traceback" not in said
    assert "ignored" not in said
    return before


@pytest.mark.parametrize("number", SAID)
@pytest.mark.parametrize("kind", WORK)
def test_a_signal_ends_all_kinds_of_work(kind, number):
    body = "".join(f"    {line}\n" for line in WORK[kind].splitlines())
    code = (
        "from orderparam.cli.signals import answered\n"
        "def ready(): print('ready', flush=True)\n"
        "with answered():\n" + body
    )
    process = begun(code)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    assert require_one_sentence(process, number) == []


COMMAND = "from orderparam.cli import main; print('ready', flush=True); main()"


def require_command_ends(tmp_path, wait: float, number: signal.Signals) -> None:
    process = begun(COMMAND, "run", "digits-kernels", "--quick", "--out", str(tmp_path / "store"))
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(wait)
    require_one_sentence(process, number)


@pytest.mark.parametrize(("wait", "number"), [(0.2, signal.SIGINT), (1.5, signal.SIGTERM)])
def test_a_signal_during_imports(tmp_path, wait, number):
    require_command_ends(tmp_path, wait, number)


@pytest.mark.validate
def test_signals_at_random_moments(tmp_path):
    chance = random.Random(0)
    for _ in range(40):
        number = chance.choice(list(SAID))
        require_command_ends(tmp_path, chance.uniform(0.05, 15), number)


def test_the_first_module_is_small():
    code = START + (
        "import orderparam.cli\n"
        "assert not {'typer', 'rich', 'numpy', 'jax', 'xarray'} & set(sys.modules)"
    )
    process = begun(code)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said


def test_symbols_that_a_terminal_lacks_are_replaced(tmp_path):
    code = "from orderparam.cli import main; main()"
    plain = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONPATH": SOURCE}
    for arguments in (["list"], ["list", "--json"], ["show", "γ"], ["run", "γ"]):
        done = subprocess.run(
            [sys.executable, "-c", START + code, *arguments],
            capture_output=True, check=False, env={**os.environ, **plain},
        )  # fmt: skip
        said = (done.stdout + done.stderr).decode("ascii")
        assert "Traceback" not in said
        assert done.returncode == (0 if arguments[0] == "list" else 2)
