"""Files that appear under their name whole or not at all.

A file is written beside its place under a temporary name, flushed to the disk and renamed. The
temporary name is of one length whatever the file is called, so that every name the file system
allows can be written.
"""

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
import socket
from pathlib import Path

from orderparam.errors import UnwritableFile

_BLOCK = 1 << 24
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
_TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.[0-9a-f]{8}\.(?P<pid>\d+)\.[0-9a-f]{8}\.tmp")


def atomic_write(path: str | os.PathLike[str], content: str | bytes | memoryview) -> Path:
    """Write a file, which appears under `path` complete or not at all.

    Missing parent folders are made, and temporary files that dead writers of the same `path` left
    behind are removed.

    Args:
        path: Where the file shall be.
        content: Text, written as UTF-8, or bytes.

    Returns:
        The path of the finished file.

    Raises:
        UnwritableFile: If the disk is full, the name too long, a folder, or not to be written to.
            An earlier file stays as it was, and no part of the new one is left behind.
    """
    path = Path(path)
    data = memoryview(content.encode("utf-8") if isinstance(content, str) else content)
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "the path is a folder; add a file name to it")
        temporary = path.with_name(_temporary_name(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        try:
            _write(temporary, data)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(path, data.nbytes, error) from error
    with contextlib.suppress(OSError):  # not every file system can do this for a folder
        _flush(path.parent)
    return path


def _write(path: Path, data: memoryview) -> None:
    """Put the bytes on the disk, block by block: between two of them a signal is answered."""
    with path.open("xb") as file:
        for start in range(0, data.nbytes, _BLOCK):
            file.write(data[start : start + _BLOCK])
        file.flush()
        os.fsync(file.fileno())


def _unwritable(path: Path, needed: int, error: OSError) -> UnwritableFile:
    """What the library raises for an error of the system; free space is what it is afterwards."""
    reason = (error.strerror or str(error)).rstrip(".")
    if error.errno not in _FULL:
        said = f"The file {path} cannot be written: {reason}. An earlier file there is unchanged."
    else:
        said = (
            f"The file {path} cannot be written ({reason}): it needs {_size(needed)}, and "
            f"{_size(_free(path.parent))} are free there. Free some space or save elsewhere; an "
            "earlier file there is unchanged."
        )
    found = UnwritableFile(said)
    found.errno = error.errno
    return found


def _free(folder: Path) -> int:
    """Bytes that are free where a folder is, or where it would be."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _size(count: int) -> str:
    """A number of bytes for people."""
    return f"{count / 2**20:.1f} MiB" if count >= 2**20 else f"{count} bytes"


def _flush(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _mark(path: Path) -> str:
    """What stands for a file's name in the names of its temporary files."""
    return hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]


def _temporary_name(path: Path) -> str:
    """A name that no other writer has."""
    return f".{_mark(path)}.{_HOST}.{os.getpid()}.{secrets.token_hex(4)}.tmp"


def _remove_leftovers(path: Path) -> None:
    """Remove temporary files of `path` whose writer, a process of this machine, is gone."""
    beginning = f".{_mark(path)}.{_HOST}."
    for candidate in path.parent.iterdir():
        if not candidate.name.startswith(beginning):
            continue
        match = _TEMPORARY.fullmatch(candidate.name)
        if match and not _alive(int(match["pid"])):
            candidate.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    """Whether a process of that number runs on this machine."""
    with contextlib.suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, OverflowError):
            return False
    return True
