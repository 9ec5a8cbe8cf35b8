"""Compiled programs kept between processes: found again, whole, bounded, and never unasked."""

import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import jax
import pytest
from typer.testing import CliRunner

import orderparam as op
from orderparam.cli.app import app
from orderparam.errors import InvalidProblem
from orderparam.support import compiled
from orderparam.support.program_folder import ProgramFolder

COMPILING = """
import collections, sys, warnings
warnings.simplefilter("error")
import jax, jax.numpy as jnp
import orderparam as op
counted = collections.Counter()
jax.monitoring.register_event_listener(lambda event, **_: counted.update([event]))
folder = op.keep_compiled(*sys.argv[1:])
values = [float(jax.jit(lambda x, k=k: jnp.sin(x).sum() * k)(jnp.ones(5))) for k in (2.0, 3.0)]
print(folder, *(counted[f"/jax/compilation_cache/cache_{what}"] for what in ("hits", "misses")))
print(*values)
"""


def environment(**more):
    own = {key: value for key, value in os.environ.items() if not key.startswith("JAX_")}
    return {**own, **more}


def start(*arguments, **more):
    return subprocess.Popen(
        [sys.executable, "-c", COMPILING, *map(str, arguments)],
        stdout=subprocess.PIPE, text=True, env=environment(**more),
    )  # fmt: skip


def counts(process):
    output, _ = process.communicate()
    assert process.returncode == 0
    (folder, hits, misses), values = (line.split() for line in output.splitlines())
    assert [float(value) for value in values] == pytest.approx([8.41471, 12.62206], abs=1e-4)
    return folder, int(hits), int(misses)


def test_processes_at_once_share_what_the_next_finds(tmp_path):
    together = [counts(process) for process in [start(tmp_path) for _ in range(2)]]
    assert all(hits + misses == together[0][1] + together[0][2] for _, hits, misses in together)
    folder, hits, misses = counts(start(tmp_path))
    assert Path(folder) == tmp_path
    assert misses == 0
    assert hits >= 2
    files = sorted(tmp_path.iterdir())
    assert len(files) == hits
    # Half a file, one changed byte: neither is run, and both are replaced.
    files[0].write_bytes(files[0].read_bytes()[:-40])
    changed = bytearray(files[1].read_bytes())
    changed[-1] ^= 1
    files[1].write_bytes(changed)
    assert counts(start(tmp_path))[1:] == (hits - 2, 2)
    assert counts(start(XDG_CACHE_HOME="", ORDERPARAM_CACHE=str(tmp_path)))[1:] == (hits, 0)


def test_it_is_on_only_where_it_is_asked_for(tmp_path):
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert counts(start(ORDERPARAM_CACHE="off", **home)) == ("None", 0, 0)
    assert not list(tmp_path.iterdir())
    code = "import orderparam as op; [getattr(op, name) for name in op.__all__]; import jax; "
    code += "print(jax.config.jax_compilation_cache_dir)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(**home), capture_output=True, text=True
    )
    assert done.stdout.split() == ["None"]
    assert not list(tmp_path.iterdir())


@pytest.fixture
def unconfigured():
    names = ("jax_compilation_cache_dir", compiled._LEAST)
    before = {name: getattr(jax.config, name) for name in names}
    jax.config.update("jax_compilation_cache_dir", None)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def test_a_cache_that_the_caller_configured_is_left_alone(tmp_path):
    configured = jax.config.jax_compilation_cache_dir
    assert op.keep_compiled(tmp_path) == Path(configured)
    assert jax.config.jax_compilation_cache_dir == configured
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("unconfigured")
def test_a_folder_that_cannot_be_used_is_a_warning(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.warns(RuntimeWarning, match=r"not kept.*ORDERPARAM_CACHE=off\."):
        assert op.keep_compiled(tmp_path / "file" / "folder") is None
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.warns(RuntimeWarning, match="everybody may write"):
        assert op.keep_compiled(tmp_path / "open") is None
    # A release of JAX whose inner names are others.
    monkeypatch.setattr(compiled, "import_module", lambda name: object())
    with pytest.warns(RuntimeWarning, match="get_file_cache"):
        assert op.keep_compiled(tmp_path) is None
    assert jax.config.jax_compilation_cache_dir is None


@pytest.mark.usefixtures("unconfigured")
@pytest.mark.parametrize("path", ["", "a\0b"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(InvalidProblem, match="path"):
        op.keep_compiled(path)


def test_a_command_says_why_nothing_is_kept_and_goes_on(monkeypatch):
    def unwritable():
        warnings.warn("Compiled programs are not kept.", RuntimeWarning, stacklevel=2)

    ran = []
    monkeypatch.setattr(op, "keep_compiled", unwritable, raising=False)
    monkeypatch.setattr("orderparam.studies.runner.run_study", lambda *a, **k: ran.append(1))
    done = CliRunner().invoke(app, ["run", "digits-kernels", "--quick"])
    assert "Warning: Compiled programs are not kept." in done.output
    assert ran == [1]


def test_the_programs_not_used_for_longest_go_first(tmp_path):
    folder = ProgramFolder(tmp_path, 350, "cpu")
    (tmp_path / "letter.txt").write_bytes(b"x" * 1000)
    for age, key in enumerate("abc"):
        folder.put(key, b"p" * 50)
        os.utime(tmp_path / f"cpu-{key}.program", ns=(age, age))
    assert folder.get("a") == b"p" * 50  # the oldest, now the one used last
    folder.put("d", b"p" * 50)
    folder.put("e", b"p" * 50)
    assert [key for key in "abcde" if folder.get(key)] == ["a", "c", "d", "e"]
    folder.put("large", b"p" * 400)
    assert folder.get("large") is None
    assert (tmp_path / "letter.txt").exists()
    assert ProgramFolder(tmp_path, 350, "another processor").get("a") is None


@pytest.mark.parametrize("limit", [10**6, 5000])
def test_writers_and_readers_at_once_see_whole_programs(tmp_path, limit):
    contents = {f"k{i}": bytes([i]) * 1000 for i in range(8)}
    missing = {None} if limit < 8000 else set()  # others may remove what was written
    wrong = []

    def work():
        folder = ProgramFolder(tmp_path, limit, "cpu")
        for _ in range(30):
            for key, value in contents.items():
                folder.put(key, value)
                if folder.get(key) not in {value, *missing}:
                    wrong.append(key)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= limit
