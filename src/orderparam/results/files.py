"""Result files that are either whole or refused.

A file is a NetCDF-4 file (HDF5) followed by one line, the trailer, which holds the SHA-256 sum of
every byte before it. Readers of NetCDF ignore what follows the HDF5 part; `read_dataset` refuses
a file whose bytes do not give the sum. A file appears under its name only when it is complete: it
is written beside its place under a temporary name, flushed to the disk and renamed.
"""

import contextlib
import hashlib
import os
import re
import secrets
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import xarray as xr

from orderparam.errors import CorruptFile, MissingFile
from orderparam.support.arguments import is_there

SCHEMA_VERSION = 1
_MARK = b"\norderparam sha256 "
_TRAILER_SIZE = len(_MARK) + 64 + 1
_BLOCK = 1 << 20
# Numbers come back as they were written; a unit such as "seconds" makes no time difference of them.
_VERBATIM: dict[str, Any] = {
    "decode_times": False,
    "decode_timedelta": False,
    "mask_and_scale": False,
}
_HOST = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname()) or "host"
_TEMPORARY = re.compile(r"\.(?P<host>[A-Za-z0-9-]+)\.(?P<pid>\d+)\.[0-9a-f]{8}\.tmp")


def atomic_write(path: str | os.PathLike[str], write: Callable[[Path], object]) -> Path:
    """Let `write` make a file, which appears under `path` complete or not at all.

    Missing parent folders are made, and temporary files that dead writers of the same `path` left
    behind are removed. An error in `write` leaves the old file as it was.

    Args:
        path: Where the file shall be.
        write: Called once with the temporary path; makes and closes that file.

    Returns:
        The path of the finished file.

    Raises:
        IsADirectoryError: If `path` is a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(
            f"The path {path} is a folder, but the name of a file is needed; add a file name to it."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    temporary = path.with_name(f".{path.name}.{_HOST}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        write(temporary)
        _flush(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _flush(path.parent)
    return path


def write_dataset(dataset: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Write `dataset` as one checksummed NetCDF file, atomically.

    Args:
        dataset: Numbers, booleans and strings with plain attributes.
        path: Where the file shall be; an older file there is replaced at the very end.

    Returns:
        The path of the finished file.
    """
    # xarray would otherwise give every float a fill value, which comes back as an attribute.
    encoding = {str(name): {"_FillValue": None} for name in dataset.variables}

    def write(temporary: Path) -> None:
        dataset.to_netcdf(temporary, engine="h5netcdf", encoding=encoding)
        with temporary.open("r+b") as file:
            digest = _digest(file, temporary.stat().st_size)
            file.seek(0, os.SEEK_END)
            file.write(_MARK + digest + b"\n")

    return atomic_write(path, write)


def read_dataset(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read a file of `write_dataset` into memory; no code of the file is ever executed.

    Raises:
        MissingFile: If there is no such file.
        CorruptFile: If the file is truncated, altered, of another kind or of another schema.
    """
    path = Path(path)
    if not is_there(path, Path.is_file):
        raise MissingFile(
            f"There is no file at {str(path)!r}; give the path of a file written by "
            "`Solution.save`."
        )
    _verify(path)
    try:
        with xr.open_dataset(path, engine="h5netcdf", **_VERBATIM) as stored:
            dataset = stored.load()
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise CorruptFile(
            f"The file {path} cannot be read as NetCDF ({error}); restore it from a copy or "
            "compute the result again."
        ) from error
    return _tidy(dataset, path)


def _verify(path: Path) -> None:
    """Compare the sum of all bytes with the trailer."""
    size = path.stat().st_size - _TRAILER_SIZE
    with path.open("rb") as file:
        trailer = b""
        if size >= 0:
            file.seek(size)
            trailer = file.read()
        if not (trailer.startswith(_MARK) and trailer.endswith(b"\n")):
            raise CorruptFile(
                f"The file {path} does not end with the checksum line of orderparam: it is "
                "truncated or was written by another program; restore it from a copy or compute "
                "the result again."
            )
        file.seek(0)
        if _digest(file, size) != trailer[len(_MARK) : -1]:
            raise CorruptFile(
                f"The content of the file {path} does not match its checksum, so at least one "
                "byte was altered; restore it from a copy or compute the result again."
            )


def _tidy(dataset: xr.Dataset, path: Path) -> xr.Dataset:
    """Check the schema version and undo what NetCDF does to strings and scalar attributes."""
    found = dataset.attrs.get("schema_version")
    if found != SCHEMA_VERSION:
        raise CorruptFile(
            f"The file {path} has schema version {found}, but this version of orderparam reads "
            f"version {SCHEMA_VERSION}; load it with the version of orderparam that wrote it."
        )
    for name in list(dataset.variables):
        variable = dataset.variables[name]
        variable.attrs = {key: _plain(value) for key, value in variable.attrs.items()}
        # Releases of xarray differ in whether strings come back as objects.
        if variable.dtype.kind == "O":
            dataset[name] = (variable.dims, variable.values.astype(str), variable.attrs)
        dataset[name].encoding = {}
    dataset.attrs = {key: _plain(value) for key, value in dataset.attrs.items()}
    dataset.encoding = {}
    return dataset


def _plain(value: object) -> object:
    """A NumPy scalar as the Python scalar it stands for."""
    return value.item() if isinstance(value, np.generic) else value


def _digest(file: BinaryIO, size: int) -> bytes:
    """SHA-256 of the first `size` bytes, in hexadecimal digits."""
    digest = hashlib.sha256()
    while size > 0 and (block := file.read(min(size, _BLOCK))):
        digest.update(block)
        size -= len(block)
    return digest.hexdigest().encode()


def _flush(path: Path) -> None:
    """Wait until the file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_leftovers(path: Path) -> None:
    """Remove temporary files of `path` whose writer, a process of this machine, is gone."""
    for candidate in path.parent.iterdir():
        if not candidate.name.startswith(f".{path.name}."):
            continue
        match = _TEMPORARY.fullmatch(candidate.name.removeprefix(f".{path.name}"))
        if match and match["host"] == _HOST and not _alive(int(match["pid"])):
            candidate.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    """Whether a process of that number runs on this machine."""
    with contextlib.suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, OverflowError):
            return False
    return True
