import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orderparam.cli import app as cli
from orderparam.errors import Busy, Diverged, InvalidProblem, NotConverged

TOY = Path(__file__).parent / "studies"


@pytest.fixture
def toy_file(monkeypatch, tmp_path):
    """The toy study as a file, its family registered."""
    monkeypatch.syspath_prepend(str(TOY))
    import toy_family

    path = tmp_path / "toy.toml"
    path.write_text(toy_family.TOY)
    return str(path)


@pytest.fixture
def call(tmp_path):
    """Runs a command with a store of its own."""

    def start(*arguments):
        if arguments[0] in ("run", "show"):
            arguments += ("--out", str(tmp_path / "store"))
        return CliRunner().invoke(cli.app, list(arguments))

    return start


def test_list(call):
    result = call("list")
    assert result.exit_code == 0
    assert "digits-kernels" in result.stdout
    (first, *_) = json.loads(call("list", "--json").stdout)
    assert set(first) == {"name", "title", "claim", "time_needed"}


def test_list_is_quick():
    code = (
        "import sys; from orderparam.cli.app import app\n"
        "try: app(['list'])\n"
        "except SystemExit: pass\n"
        "assert not {'numpy', 'jax', 'xarray', 'matplotlib', 'sklearn'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_run_and_show(call, toy_file):
    result = call("run", toy_file, "--set", "figures=[]")
    assert result.exit_code == 0
    assert "rms deviation" in result.stdout
    assert "report.html" in result.stdout
    assert "Theory: about 1 MiB" in result.stderr
    shown = call("show", "toy")
    assert shown.exit_code == 0
    assert shown.stdout == result.stdout


def test_json_is_the_only_output(call, toy_file):
    result = call("run", toy_file, "--quick", "--seed", "4", "--device", "cpu", "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == 0
    assert document["verdict"] in ("pass", "undecided")
    assert [case["label"] for case in document["cases"]] == ["rate = 0.5", "rate = 1.0"]
    assert json.loads(call("show", "toy", "--json").stdout) == document


@pytest.mark.parametrize(
    ("setting", "code"),
    [
        ("theory.offset=0.05", 1),
        ("problem.rate=1000.0", 1),
        ('theory.verdict="error_too_large"', 3),
        ("problem.rat=1.0", 2),
        ("problem.rate=-1.0", 2),
        ("nonsense", 2),
    ],
)
def test_exit_codes(call, toy_file, setting, code):
    result = call("run", toy_file, "--set", "figures=[]", "--set", setting)
    assert result.exit_code == code
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidProblem("A sentence."), 2),
        (NotConverged("A sentence."), 3),
        (Diverged("A sentence."), 1),
        (Busy("A sentence."), 4),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_are_one_sentence(call, toy_file, monkeypatch, error, code):
    def fail(*args, **options):
        raise error

    monkeypatch.setattr("orderparam.studies.runner.run_study", fail)
    result = call("run", toy_file)
    assert result.exit_code == code
    assert result.stdout == ""
    expected = "Finished parts are kept" if code == 130 else "Error: A sentence.\n"
    assert expected in result.stderr
    if code != 130:
        result = call("run", toy_file, "--json")
        assert json.loads(result.stdout)["message"] == "A sentence."


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "digit-kernels"), "did you mean `digits-kernels`"),
        (("show", "nothing"), "is not a run"),
        (("run", "digits-kernels", "--device", "tpu"), "Invalid value"),
        (("run", "digits-kernels", "--seed", "-1"), "Invalid value"),
        (("sweep",), "No such command"),
    ],
)
def test_wrong_usage(call, arguments, message):
    result = call(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_device_that_is_not_there(call, toy_file):
    result = call("run", toy_file, "--device", "gpu")
    if "There is no device" not in result.stderr:
        pytest.skip("this machine has a GPU")
    assert result.exit_code == 2


@pytest.mark.parametrize(("relative", "code"), [(1e-5, 0), (0.1, 1)])
def test_doctor(call, monkeypatch, relative, code):
    from orderparam.studies import selftest

    test = selftest.SelfTest(relative, 1.0)
    monkeypatch.setattr(selftest, "self_test", lambda: test)
    result = call("doctor")
    assert result.exit_code == code
    assert ("FAILED" in result.stdout) is (code == 1)
    document = json.loads(call("doctor", "--json").stdout)
    assert document["self_test"] == {"relative": relative, "seconds": 1.0, "passed": code == 0}
    assert document["versions"]["jax"]
    assert document["devices"]
