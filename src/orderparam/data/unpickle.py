"""Reading one kind of pickle without trusting it: plain containers and number arrays.

A pickle is a program for a small stack machine. Two guards stand before it: only programs that
`orderparam.data.instructions` lets through are run, and the four names that NumPy arrays need lead
to the stand-ins below, never to NumPy or to any other code.
"""

import io
import pickle
from typing import Any, NoReturn

import numpy as np

from orderparam.data.instructions import check_program

NUMBERS = frozenset({"b1", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"})


class _Type:
    """Stands for a `numpy.dtype` of plain numbers."""

    __slots__ = ("code", "order")

    def __init__(self, code: bytes | str, *_: object) -> None:
        text = code.decode() if isinstance(code, bytes) else code
        if text not in NUMBERS:
            raise pickle.UnpicklingError(f"arrays of type {text!r} are not plain numbers")
        self.code, self.order = text, "|"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = state[1].decode() if isinstance(state[1], bytes) else state[1]
        if order not in ("|", "<", ">", "="):
            raise pickle.UnpicklingError(f"unknown byte order {order!r}")
        self.order = order


class _Array:
    """Stands for a `numpy.ndarray` until its shape, type and bytes are known."""

    __slots__ = ("values",)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, by_column, raw = state
        flat = np.frombuffer(raw, dtype=np.dtype(kind.order + kind.code))
        self.values = flat.reshape(shape, order="F" if by_column else "C")


class _Name:
    """Stands for a callable of NumPy; it has no attributes that a pickle could overwrite."""

    __slots__ = ()

    def __call__(self, *_: object) -> Any:
        raise pickle.UnpicklingError("this name is not to be called")


class _MakeType(_Name):
    __slots__ = ()

    def __call__(self, *arguments: Any) -> _Type:
        return _Type(*arguments)


class _MakeArray(_Name):
    __slots__ = ()

    def __call__(self, *_: object) -> _Array:
        return _Array()


STAND_INS: dict[tuple[str, str], _Name] = {
    ("numpy", "ndarray"): _Name(),
    ("numpy", "dtype"): _MakeType(),
    ("numpy.core.multiarray", "_reconstruct"): _MakeArray(),
    ("numpy._core.multiarray", "_reconstruct"): _MakeArray(),
}


class _Unpickler(pickle.Unpickler):
    """An unpickler that knows four names."""

    def find_class(self, module: str, name: str, /) -> Any:
        """The stand-in for a name of NumPy; every other name is refused."""
        if (module, name) not in STAND_INS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not admitted")
        return STAND_INS[module, name]

    def persistent_load(self, pid: Any, /) -> NoReturn:
        """References to objects outside the file are refused."""
        raise pickle.UnpicklingError(f"it refers to something outside the file, {pid!r}")


def read_dict(content: bytes) -> dict[str, Any]:
    """The dict in a pickle, with its keys as text and its arrays as NumPy arrays.

    Args:
        content: The bytes of a pickle written by Python 2 or 3 (protocols 0 to 4).

    Returns:
        The dict; values are list, bytes, str, int, bool, None, tuple, dict or arrays of numbers.

    Raises:
        Exception: Whatever the bytes lead to; none of it runs code of the file.

    Example:
        >>> read_dict(pickle.dumps({"labels": [1, 2]}))
        {'labels': [1, 2]}
    """
    check_program(content)
    found = _Unpickler(io.BytesIO(content), encoding="bytes").load()
    if not isinstance(found, dict):
        raise pickle.UnpicklingError("it holds no dict")
    return {
        key.decode() if isinstance(key, bytes) else key: (
            value.values if isinstance(value, _Array) else value
        )
        for key, value in found.items()
    }
