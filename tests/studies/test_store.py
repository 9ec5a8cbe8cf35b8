import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import orderparam as op
from orderparam.errors import CorruptFile, InvalidProblem
from orderparam.studies.files import Busy, locked, remove_leftovers, write_file
from orderparam.studies.store import Entry, find_run, fingerprint, open_run, read_summary


def read(path):
    text = path.read_text()
    if text == "damaged":
        raise CorruptFile("damaged")
    return text


def own(path):
    """The fingerprint that a test's result carries: its text after the colon."""
    return path.read_text().partition(":")[2]


def test_fingerprint_depends_on_values_not_on_order():
    assert fingerprint({"a": 1, "b": [2.5]}) == fingerprint({"b": [2.5], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})


def test_a_result_is_found_only_under_its_fingerprint(tmp_path):
    entry = Entry("a.nc", "one")
    with open_run(tmp_path, "study", {}, force=False) as run:
        run.plan([], [entry], own)
        assert run.result(entry, read, elsewhere=True) is None
        run.write("a.nc", "value")
        run.plan([], [entry], own)
        assert run.result(entry, read, elsewhere=True) == "value"
        run.plan([], [Entry("a.nc", "two")], own)
        assert run.result(Entry("a.nc", "two"), read, elsewhere=True) is None


def test_results_of_other_runs_are_copied_unless_they_are_damaged(tmp_path):
    with open_run(tmp_path, "study", {"x": 1}, force=False) as run:
        run.plan([], [Entry("a.nc", "one"), Entry("b.nc", "bad")], own)
        run.write("a.nc", "value")
        run.write("b.nc", "damaged")
    with open_run(tmp_path, "study", {"x": 2}, force=False) as run:
        run.plan([], [Entry("z.nc", "one"), Entry("y.nc", "bad")], own)
        assert run.result(Entry("z.nc", "one"), read, elsewhere=False) is None
        assert run.result(Entry("z.nc", "one"), read, elsewhere=True) == "value"
        assert run.result(Entry("y.nc", "bad"), read, elsewhere=True) is None
        assert not (run.folder / "y.nc").exists()


def test_force_forgets(tmp_path):
    entry = Entry("a.nc", "one")
    for force, kept in ((False, True), (True, False)):
        with open_run(tmp_path, "study", {}, force=False) as run:
            run.plan([], [entry], own)
            run.write("a.nc", "value")
        with open_run(tmp_path, "study", {}, force=force) as run:
            assert (run.folder / "a.nc").exists() is kept


def test_an_index_cannot_point_outside_its_folder(tmp_path):
    (tmp_path / "secret").write_text("value")
    with open_run(tmp_path, "study", {"x": 1}, force=False) as run:
        run.write_json("cases.json", {"results": {"../secret": "one"}})
    with open_run(tmp_path, "study", {"x": 2}, force=False) as run:
        assert run.result(Entry("a.nc", "one"), read, elsewhere=True) is None
    with open_run(tmp_path, "study", {"x": 1}, force=True):
        assert (tmp_path / "secret").exists()


@pytest.mark.parametrize("index", [None, "", "{", "[]", '{"results": 3}', "[" * 10**5])
def test_a_damaged_index_is_made_anew_from_what_the_results_say(tmp_path, index):
    entries = [Entry(f"{name}.nc", f"of {name}") for name in "abc"]
    with open_run(tmp_path, "study", {}, force=False) as run:
        run.plan([], entries, own)
        for name, text in (("a", "x:of a"), ("b", "y:of another"), ("c", "z")):
            run.write(f"{name}.nc", text)
        place = run.folder / "cases.json"
        place.unlink() if index is None else place.write_text(index)
    with open_run(tmp_path, "study", {}, force=False) as run:
        said = run.plan([], entries, own)
        assert len(said) == 3
        assert "is damaged" in said[0]
        assert run.result(entries[0], read, elsewhere=False) == "x:of a"
        assert [run.result(entry, read, elsewhere=False) for entry in entries[1:]] == [None, None]
        assert sorted(p.read_text() for p in run.folder.glob("*.kept")) == ["y:of another", "z"]
        assert run.plan([], entries, own) == []


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", '{"title": "a"}', "[" * 10**5),
        '{"title": 3, "verdict": "", "claims": [], "cases": []}',
        '{"title": "a", "verdict": "b", "claims": [], "cases": [{}]}',
    ],
)
def test_a_damaged_summary_is_named(tmp_path, text):
    (tmp_path / "comparison.json").write_text(text)
    with pytest.raises(CorruptFile, match=r"comparison\.json .*; run the study again"):
        read_summary(tmp_path)


def test_leftovers_are_removed_when_the_run_is_opened(tmp_path):
    with open_run(tmp_path, "study", {}, force=False) as run:
        (run.folder / ".a.nc.host.1.00000000.tmp").write_text("half")
    with open_run(tmp_path, "study", {}, force=False) as run:
        assert [path.name for path in run.folder.iterdir()] == [".lock"]
    assert remove_leftovers(tmp_path) == 0


def test_a_failing_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = write_file(tmp_path / "a", "old")
    monkeypatch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_file(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_has_one_holder(tmp_path):
    with locked(tmp_path), pytest.raises(Busy, match="Another process"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_runs_are_found_by_the_beginning_of_their_name(tmp_path):
    for x in (1, 2):
        with open_run(tmp_path, "study", {"x": x}, force=False) as run:
            run.plan([], [], own)
    assert find_run(run.folder.name[:-2], tmp_path) == run.folder
    assert find_run(str(run.folder), Path("elsewhere")) == run.folder
    with pytest.raises(InvalidProblem, match="several runs"):
        find_run("study", tmp_path)
    with pytest.raises(InvalidProblem, match="is not a run"):
        find_run("other", tmp_path)
    with pytest.raises(InvalidProblem, match="has not finished"):
        read_summary(run.folder)


KILLS = 20
DRIVER = """
import sys
from orderparam.studies.overrides import resolve
from orderparam.studies.runner import run_study
from pathlib import Path
import toy_family
rates = [0.5 + 0.1 * i for i in range(8)]
study, source = resolve(toy_family.TOY, "toy", settings=[
    "figures=[]", f"problem.rate={rates}", "theory.pause=0.01"])
store = Path(sys.argv[1])
print("ready", flush=True)
import os
# A killed run is a forked child, so that twenty of them do not import everything twenty times.
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        try:
            run_study(study, source, store=store, progress=False)
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    print(child, flush=True)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


def test_killed_runs_leave_whole_files_and_are_completed(toy, tmp_path):
    where = f"{Path(op.__file__).parents[1]}{os.pathsep}{Path(__file__).parent}"
    driver = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", DRIVER, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": where},
    )  # fmt: skip
    assert driver.stdin is not None
    assert driver.stdout is not None

    def start():
        driver.stdin.write("go\n")
        driver.stdin.flush()
        return int(driver.stdout.readline())

    assert driver.stdout.readline() == "ready\n"
    chance = random.Random(0)
    codes, found = [], set()
    for _ in range(KILLS):
        child = start()
        time.sleep(chance.uniform(0.0, 0.25))
        os.kill(child, signal.SIGKILL)
        codes.append(int(driver.stdout.readline()))
        for path in tmp_path.glob("*/*.nc"):
            assert op.load(path).verdict.ok
            found.add(path)
        # What was there before a kill is there after it.
        assert all(path.exists() for path in found)
    assert codes.count(-signal.SIGKILL) >= KILLS / 2
    start()
    assert driver.stdout.readline() == "0\n"
    driver.stdin.close()
    driver.wait()
    driver.stdout.close()
    (run,) = tmp_path.iterdir()
    assert len(list(run.glob("*.nc"))) == 16
    assert not list(run.glob(".*.tmp"))
    assert read_summary(run)["verdict"] == "pass"
