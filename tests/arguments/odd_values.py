"""Classes whose values go wrong in one way each."""

import enum
from typing import Any

import numpy as np


class Broken:
    """Every conversion and every look at it fails."""

    def _fail(self, *_: Any) -> Any:
        raise RuntimeError("broken")

    __repr__ = __str__ = __len__ = __float__ = __int__ = __index__ = __bool__ = _fail
    __array__ = __iter__ = __call__ = __eq__ = __fspath__ = __getitem__ = _fail
    __hash__ = object.__hash__


class Unseen:
    """A value whose attributes cannot be asked for."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"no {name}")


class Unprinted(float):
    """A number that cannot be shown."""

    def __repr__(self) -> str:
        raise ValueError("not to be shown")


class Odd:
    """A value that becomes an array of the wrong kind."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array(["a", "b"])

    def __len__(self) -> int:
        return 2


class Endless:
    """A sequence that claims to be longer than memory."""

    def __len__(self) -> int:
        return 2**62

    def __getitem__(self, index: int) -> float:
        raise IndexError(index)


class Level(enum.IntEnum):
    """Integers with names."""

    LOW = 3


class Word(str):
    """A text of a type of its own."""


def frozen(value: Any) -> np.ndarray:
    """An array that cannot be written to."""
    array = np.array(value)
    array.flags.writeable = False
    return array
