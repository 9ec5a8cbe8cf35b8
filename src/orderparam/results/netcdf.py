"""Result files: one dataset each, sealed by a sum over all bytes.

A file is a NetCDF-4 file (HDF5) followed by one line, the trailer, which holds the SHA-256 sum of
every byte before it. Readers of NetCDF ignore what follows the HDF5 part; `read_dataset` refuses
a file whose bytes do not give the sum. The sum finds damage. It proves nothing about who wrote the
file, so what the file asks for is looked at before any of it is read.
"""

import hashlib
import io
import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import xarray as xr
from xarray.backends import H5NetCDFStore

from orderparam.errors import CorruptFile, MissingFile
from orderparam.results.files import atomic_write
from orderparam.results.inspection import inspect
from orderparam.support.arguments import is_there, one_line
from orderparam.support.later import h5netcdf

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


def write_dataset(dataset: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Write `dataset` as one checksummed NetCDF file, atomically.

    The file is built in memory, which costs its size once more: HDF5 ends the whole process where
    it cannot write to the disk.

    Args:
        dataset: Numbers, booleans and strings with plain attributes.
        path: Where the file shall be; an older file there is replaced at the very end.

    Returns:
        The path of the finished file.

    Raises:
        UnwritableFile: If it cannot be written; an older file is unchanged then.
    """
    # xarray would otherwise give every float a fill value, which comes back as an attribute.
    encoding = {str(name): {"_FillValue": None} for name in dataset.variables}
    buffer = io.BytesIO()
    with h5netcdf.File(buffer, "w") as file:
        dataset.dump_to_store(H5NetCDFStore(file), encoding=encoding)
    digest = hashlib.sha256(buffer.getbuffer()).hexdigest().encode()
    buffer.seek(0, os.SEEK_END)
    buffer.write(_MARK + digest + b"\n")
    return atomic_write(path, buffer.getbuffer())


def read_dataset(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read a file of `write_dataset` into memory; no code of the file is ever executed.

    Raises:
        MissingFile: If there is no such file.
        CorruptFile: If the file is truncated, altered, of another kind or of another schema, or
            asks for anything that `write_dataset` does not write.
    """
    path = Path(path)
    if not is_there(path, Path.is_file):
        raise MissingFile(
            f"There is no file at {str(path)!r}; give the path of a file written by "
            "`Solution.save`."
        )
    _verify(path)
    try:
        inspect(path)
        with xr.open_dataset(path, engine="h5netcdf", **_VERBATIM) as stored:
            dataset = stored.load()
        return _tidy(dataset, path)
    except CorruptFile:
        raise
    # Whatever a made-up file makes the readers of HDF5 and NetCDF raise, it means one thing.
    except Exception as error:
        raise CorruptFile(
            f"The file {path} cannot be read as NetCDF ({one_line(error)}); restore it from a "
            "copy or compute the result again."
        ) from error


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
