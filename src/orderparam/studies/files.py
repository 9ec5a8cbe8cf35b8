"""The files of a run folder, and a lock that a killed process cannot leave behind."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orderparam.errors import Busy, InvalidProblem
from orderparam.results.files import atomic_write


def write_file(path: Path, content: str | bytes) -> Path:
    """Write a file so that readers see the old content or all of the new, never a part.

    Args:
        path: Where the file shall stand.
        content: Text (written as UTF-8) or bytes.

    Returns:
        `path`.
    """
    return atomic_write(path, content)


def remove_leftovers(folder: Path) -> int:
    """Delete the temporary files of killed writers; returns how many there were.

    To be called under the folder's lock, which no living writer shares.
    """
    found = list(folder.glob(".*.tmp"))
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock; the operating system releases it when the process ends, however.

    Args:
        folder: An existing folder.

    Raises:
        Busy: If another process holds it.
        InvalidProblem: If the folder cannot be written to.
    """
    try:
        handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise InvalidProblem(
            f"The folder {folder} cannot be written to ({error.strerror}); name another store "
            "with --out."
        ) from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(
                f"Another process is working in {folder}; wait until it has finished, or choose "
                "another store with --out."
            ) from None
        yield
    finally:
        os.close(handle)
