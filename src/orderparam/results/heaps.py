"""The heaps of an HDF5 file, where its strings stand, checked before HDF5 reads them.

HDF5 walks through a heap by adding the sizes that its objects claim. A size of nothing, or one so
large that the sum comes round to where it was, keeps it walking for ever.
"""

import mmap
import struct
from pathlib import Path

_SIGN = b"GCOL\x01"  # a "global heap collection", version 1: the only one there is
_HEAD = struct.Struct("<4sB3xQ")  # sign, version, size of the whole with this head
_OBJECT = struct.Struct("<HHIQ")  # number (0: the rest is free), references, reserved, size


def check_heaps(path: Path) -> None:
    """Walk through every heap as HDF5 would.

    Args:
        path: A file that is not empty. Time grows with its size, as for any search.

    Raises:
        ValueError: If a walk does not end where the heap ends.

    Source:
        The HDF5 Group, HDF5 File Format Specification, version 3.0, section III.E.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content.find(_SIGN)
        while start >= 0:
            _walk(content, start)
            start = content.find(_SIGN, start + 1)


def _walk(content: mmap.mmap, start: int) -> None:
    """Step from object to object to the end of one heap."""
    size = _HEAD.unpack_from(content, start)[2] if start + _HEAD.size <= len(content) else 0
    end, place = start + size, start + _HEAD.size
    if not place <= end <= len(content):
        raise ValueError(f"the heap at byte {start} is larger than the file")
    while place + _OBJECT.size <= end:
        number, _, _, size = _OBJECT.unpack_from(content, place)
        # Free space counts its own head; objects do not, and begin at multiples of 8 bytes.
        step = size if number == 0 else _OBJECT.size + (size + 7) // 8 * 8
        if not _OBJECT.size <= step <= end - place:
            raise ValueError(f"the heap at byte {start} has an object of {size} bytes")
        place += step
