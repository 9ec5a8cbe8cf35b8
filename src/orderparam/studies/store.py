"""The store of runs: a folder that holds one folder per study and its inputs.

Results are found by the fingerprint of everything they depend on. `cases.json` is written before
the work starts and says which fingerprint each file has or will have, so a file that exists is
the result that was planned, and an interrupted run continues with the first missing one. Results
carry their fingerprint themselves too, so that a damaged index is made anew from them.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import time_ns
from typing import Any, TypeVar

from orderparam.errors import CorruptFile, InvalidProblem
from orderparam.studies.files import locked, remove_leftovers, write_file
from orderparam.studies.summary import read_summary_file
from orderparam.support.reading import read_json

INDEX = "cases.json"
Result = TypeVar("Result")


def fingerprint(inputs: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of plain values, the same for equal values in any order of keys."""
    text = json.dumps(inputs, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


@dataclass(frozen=True)
class Entry:
    """A result that a run needs: its file in the run folder and its fingerprint."""

    file: str
    fingerprint: str


@dataclass(frozen=True)
class Run:
    """One run folder, held by this process.

    Args:
        folder: The run folder.
        store: The folder it lies in, whose other runs may hold the same results.
    """

    folder: Path
    store: Path

    def plan(
        self,
        cases: Sequence[Mapping[str, Any]],
        entries: Sequence[Entry],
        fingerprint_of: Callable[[Path], str],
    ) -> list[str]:
        """Write the index; files that belong to other inputs are removed first.

        A file that the index does not know, because it is damaged, is asked itself. What cannot
        say what it belongs to is set aside, never removed.

        Args:
            cases: What `cases.json` shall say about each case.
            entries: All results that belong to the run.
            fingerprint_of: The fingerprint that a result carries itself, empty if it has none.

        Returns:
            One sentence for each thing that was damaged, and what became of it.
        """
        previous, said = _index(self.folder), []
        if previous is None and any((self.folder / entry.file).exists() for entry in entries):
            said.append(f"The index {self.folder / INDEX} is damaged; it is made anew.")
        for entry in entries:
            path = self.folder / entry.file
            known = (previous or {}).get(entry.file)
            if not path.exists() or known == entry.fingerprint:
                continue
            if known is not None:
                path.unlink()
            elif fingerprint_of(path) != entry.fingerprint:
                aside = path.with_name(f"{path.name}.{fingerprint({'at': time_ns()})[:8]}.kept")
                path.replace(aside)
                said.append(f"The result {path} does not say what it belongs to; see {aside.name}.")
        results = {entry.file: entry.fingerprint for entry in entries}
        self.write_json(INDEX, {"cases": list(cases), "results": results})
        return said

    def result(
        self, entry: Entry, load: Callable[[Path], Result], *, elsewhere: bool
    ) -> Result | None:
        """A finished result; a damaged file counts as missing and is removed from this run.

        Args:
            entry: The result.
            load: Reads its file.
            elsewhere: Also look in other runs of the store, and copy what is found.
        """
        own = self.folder / entry.file
        if not own.exists():
            other = self._elsewhere(entry.fingerprint) if elsewhere else None
            if other is None:
                return None
            write_file(own, other.read_bytes())
        try:
            return load(own)
        except CorruptFile:
            own.unlink()
            return None

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file of the run atomically."""
        return write_file(self.folder / name, content)

    def write_json(self, name: str, content: Any) -> Path:
        """Write plain values as JSON, atomically."""
        return self.write(name, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    def _elsewhere(self, wanted: str) -> Path | None:
        """A file with this fingerprint in another run folder of the store."""
        for folder in sorted(path.parent for path in self.store.glob(f"*/{INDEX}")):
            if folder == self.folder:
                continue
            for file, known in (_index(folder) or {}).items():
                if known == wanted and (folder / file).is_file():
                    return folder / file
        return None


@contextmanager
def open_run(store: Path, name: str, inputs: Mapping[str, Any], *, force: bool) -> Iterator[Run]:
    """Make or reopen the run folder of a study with these inputs, and hold its lock.

    Args:
        store: The store; made if it does not exist.
        name: The study's name.
        inputs: Everything that decides the results.
        force: Forget earlier results of this run.

    Yields:
        The run, its leftover temporary files removed.

    Raises:
        Busy: If another process is working on the same run.
        InvalidProblem: If the folder cannot be made.
    """
    folder = store / f"{name}-{fingerprint(inputs)[:8]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidProblem(
            f"The run folder {folder} cannot be made ({error.strerror}); name a folder that you "
            "may write to with --out."
        ) from None
    with locked(folder):
        remove_leftovers(folder)
        if force:
            known = _index(folder)
            for file in [path.name for path in folder.glob("*.nc")] if known is None else known:
                (folder / file).unlink(missing_ok=True)
        yield Run(folder, store)


def find_run(name: str, store: Path) -> Path:
    """The run folder that a user means.

    Args:
        name: A path, the name of a folder in the store, or the beginning of exactly one such name.
        store: The store to look in.

    Raises:
        InvalidProblem: If there is no such run, or more than one.
    """
    if (Path(name) / INDEX).is_file():
        return Path(name)
    runs = sorted(path.parent for path in store.glob(f"*/{INDEX}"))
    found = [run for run in runs if run.name == name] or [
        run for run in runs if run.name.startswith(name)
    ]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(run.name for run in (found or runs)) or "none"
    problem = "is the beginning of several runs" if found else "is not a run"
    raise InvalidProblem(
        f"`{name}` {problem} in {store}; runs there: {listed}. Give the path of a run folder, or "
        "enough of its name."
    )


def read_summary(folder: Path) -> dict[str, Any]:
    """The verdicts of a finished run.

    Raises:
        InvalidProblem: If the run has not finished.
        CorruptFile: If its file is not what a run writes.
    """
    try:
        return read_summary_file(folder)
    except FileNotFoundError:
        raise InvalidProblem(
            f"The run in {folder} has not finished; start the same study again, which keeps what "
            "is done and computes the rest."
        ) from None


def _index(folder: Path) -> dict[str, str] | None:
    """File names and fingerprints in a run's index; `None` when there is none to read."""
    try:
        results = read_json(folder / INDEX)["results"]
        # Only plain file names: an index must not be able to point outside its own folder.
        return {file: str(known) for file, known in results.items() if Path(file).name == file}
    except (OSError, CorruptFile, KeyError, AttributeError):
        return None
