"""A file appears whole or not at all, and what is in its way is said in a sentence."""

import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from orderparam.errors import OrderParamError, UnwritableFile
from orderparam.results import Variable, Verdict, build_solution, files, load
from orderparam.results.files import atomic_write

SOURCE = str(Path(__file__).parents[2] / "src")


def result(count: int = 5, value: float = 1.0):
    """A result with as many numbers."""
    return build_solution(
        {"loss": Variable(("time",), np.full(count, value), "loss", "L")},
        {},
        family="kernels",
        kind="theory",
        problem={},
        method={"name": "causal"},
        seed=0,
        verdict=Verdict.CONVERGED,
        message="",
        diagnostics={},
        precision="float64",
        device="cpu",
        wall_time=0.1,
        compile_time=None,
        sources=["bordelon2022"],
    )


def call(program: str, *arguments: str, **options) -> subprocess.CompletedProcess[str]:
    """Run a program that finds this library."""
    command = [sys.executable, "-c", textwrap.dedent(program), *arguments]
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    return subprocess.run(
        command, check=False, capture_output=True, text=True, env=environment, **options
    )


def test_a_full_disk_is_an_error_that_says_what_is_needed(tmp_path):
    path = result().save(tmp_path / "a.nc")
    result(count=100_000).save(tmp_path / "large.nc")
    program = """
        import resource, sys
        from orderparam.errors import OrderParamError
        from orderparam.results import load
        solution = load(sys.argv[1])
        # The system refuses to make a file larger, as it does on a full disk.
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        try:
            solution.save(sys.argv[2])
        except OrderParamError as error:
            print(type(error).__name__, isinstance(error, OSError), error)
    """
    done = call(program, str(tmp_path / "large.nc"), str(path))
    assert done.returncode == 0, done.stderr
    needed = (tmp_path / "large.nc").stat().st_size
    assert done.stdout.startswith(f"UnwritableFile True The file {path} cannot be written (File")
    assert f"it needs {needed} bytes" in done.stdout
    assert "are free there" in done.stdout
    assert load(path)["loss"].sizes == {"time": 5}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.nc", "large.nc"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_an_error_of_the_disk_keeps_the_old_file(tmp_path, monkeypatch, number):
    path = atomic_write(tmp_path / "a.txt", "old")

    def fail(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(UnwritableFile, match=os.strerror(number)) as caught:
        atomic_write(path, b"new" * 1000)
    assert caught.value.errno == number
    assert ("needs 3000 bytes" in str(caught.value)) is (number != errno.EIO)
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"


@pytest.mark.parametrize("letter", ["n", "é", "界"])
def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path, letter):
    most = os.pathconf(tmp_path, "PC_NAME_MAX")
    size = len(letter.encode())
    stem = letter * ((most - 3) // size)
    path = tmp_path / (stem + "n" * (most - 3 - size * len(stem)) + ".nc")
    assert load(result().save(path))["loss"].sizes == {"time": 5}
    with pytest.raises(UnwritableFile, match="too long"):
        result().save(path.with_name("n" + path.name))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["file/a.nc", ".", "/", "/dev/full/a.nc"])
def test_a_place_that_cannot_be_written_to_is_named(tmp_path, monkeypatch, name):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OrderParamError, match="cannot be written"):
        result().save(name)
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_killed_writer_leaves_the_old_file_and_its_leftovers_are_removed(tmp_path):
    path = result(value=1.0).save(tmp_path / "a.nc")
    program = """
        import os, signal, sys
        from pathlib import Path
        from orderparam.results import files
        files.os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
        files.atomic_write(Path(sys.argv[1]), b"half a file")
    """
    assert call(program, str(path)).returncode == -9
    leftovers = [p for p in tmp_path.iterdir() if p != path]
    assert len(leftovers) == 1
    assert leftovers[0].read_bytes() == b"half a file"
    assert load(path)["loss"].values[0] == 1.0
    # A file of a living writer (this process) and a file of somebody else stay.
    head, _, token, end = leftovers[0].name.rsplit(".", 3)
    living = tmp_path / f"{head}.{os.getpid()}.{token}.{end}"
    living.write_text("at work")
    other = tmp_path / ".b.nc.tmp"
    other.write_text("not ours")
    result(value=2.0).save(path)
    assert load(path)["loss"].values[0] == 2.0
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([living.name, ".b.nc.tmp", "a.nc"])
