"""What a result file may contain, checked before any of its data are read.

HDF5 can point to other files, hold objects of any depth and claim sizes that nothing stands behind.
Results need none of it: one group of arrays of numbers and strings, each whole in the file itself.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np

from orderparam.errors import CorruptFile
from orderparam.results.heaps import check_heaps
from orderparam.support.later import h5py

PADDED = 2**30
"""Most bytes that the strings of one variable may take in memory, where all are as long as one."""

_POINTER = 16  # bytes in the place of a string: its length, and where it stands in the file
# What h5netcdf keeps of dimensions; it reads these itself, and users never see them.
_OWN = frozenset(
    {"CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "_Netcdf4Dimid", "_Netcdf4Coordinates"}
)
_NO_VARIABLE = b"This is a netCDF dimension but not a netCDF variable"


class _Budget:
    """Bytes of a file that were not claimed yet; no two objects own the same ones."""

    def __init__(self, size: int) -> None:
        self.left = size

    def take(self, count: int, what: str) -> None:
        """Claim some."""
        self.left -= count
        if self.left < 0:
            raise ValueError(f"{what} claims more bytes than the file has")


def inspect(path: Path) -> None:
    """Refuse a file that is not what `write_dataset` writes.

    Args:
        path: A file in the HDF5 format.

    Raises:
        CorruptFile: If it links to other files or within itself, has groups, keeps data outside
            itself or in pieces, claims more bytes than it has, or holds values that are neither
            numbers nor strings.
        Exception: Whatever a damaged file makes HDF5 raise.
    """
    try:
        check_heaps(path)
        with h5py.File(path, "r") as file:
            budget = _Budget(path.stat().st_size)
            _check_attributes(file, budget)
            for name in file:
                _check_member(file, name, budget)
    except ValueError as error:
        raise CorruptFile(
            f"The file {path} holds what no result holds: {error}. Do not trust it; ask for a "
            "file written by `Solution.save`."
        ) from None


def _check_member(file: "h5py.File", name: Any, budget: _Budget) -> None:
    """An array of its own, looked at before it is opened."""
    _check_text(name, "the name of an array")
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name!r} is a link to another place")
    array = file[name]
    if not isinstance(array, h5py.Dataset):
        raise ValueError(f"{name!r} is a group or a type, not an array")
    _check_array(array, budget)


def _check_array(array: "h5py.Dataset", budget: _Budget) -> None:
    """An array of numbers or strings whose bytes all stand in the file."""
    name = f"the array {array.name!r}"
    plan = array.id.get_create_plist()
    if plan.get_layout() == h5py.h5d.VIRTUAL or plan.get_external_count():
        raise ValueError(f"{name} is kept in another file")
    _check_type(array.dtype, name)
    _check_attributes(array, budget)
    text = h5py.check_string_dtype(array.dtype)
    each = _POINTER if text is not None and text.length is None else array.dtype.itemsize
    needed, stored = math.prod(array.shape) * each, array.id.get_storage_size()
    if stored == 0 and bytes(array.attrs.get("NAME", b"")).startswith(_NO_VARIABLE):
        return  # a dimension without labels, whose length alone counts
    if stored != needed:
        raise ValueError(f"{name} needs {needed} bytes, but {stored} are stored")
    if stored and plan.get_layout() not in (h5py.h5d.COMPACT, h5py.h5d.CONTIGUOUS):
        raise ValueError(f"{name} is kept in pieces or compressed")
    budget.take(stored, name)
    if text is not None:
        _check_strings(array, name, budget)


def _check_strings(array: "h5py.Dataset", name: str, budget: _Budget) -> None:
    """Read one by one, since many may point to the same bytes."""
    longest = 0
    for place in np.ndindex(array.shape):
        text = array[place]
        _check_text(text.decode("utf-8"), name)
        budget.take(len(text), name)
        longest = max(longest, len(text))
    if 4 * longest * math.prod(array.shape) > PADDED:
        raise ValueError(f"{name} has strings of too different lengths")


def _check_attributes(owner: "h5py.Dataset | h5py.Group", budget: _Budget) -> None:
    """Single numbers and strings."""
    for name in owner.attrs:
        about = f"the attribute {name!r}"
        _check_text(name, "the name of an attribute")
        found = owner.attrs.get_id(name)
        budget.take(found.get_storage_size(), about)
        if name in _OWN:
            continue
        if found.get_space().get_simple_extent_npoints() != 1:
            raise ValueError(f"{about} is an array")
        _check_type(found.dtype, about)
        value = owner.attrs[name]
        if isinstance(value, str):
            _check_text(value, about)
            budget.take(len(value), about)


def _check_text(text: Any, what: str) -> None:
    """Text that can be printed: UTF-8, for which h5py would otherwise give stand-ins."""
    if not isinstance(text, str) or not text.isascii():
        try:
            text.encode("utf-8")
        except (AttributeError, UnicodeEncodeError):
            raise ValueError(f"{what} is no text in UTF-8") from None


def _check_type(kind: Any, what: str) -> None:
    """Booleans, integers, floats of at most 8 bytes, strings."""
    text = h5py.check_string_dtype(kind)
    plain = kind.kind in "biuf" and h5py.check_dtype(enum=kind) is None
    if text is None and not (plain and kind.itemsize <= 8):
        raise ValueError(f"{what} has the type {kind}")
