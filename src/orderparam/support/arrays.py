"""What an array argument may be; the companion of `arguments`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from orderparam.errors import InvalidProblem
from orderparam.support.arguments import LARGEST, refuse, shown

Numbers = float | Sequence[Any] | np.ndarray
"""What stands for an array of numbers."""


def array(
    name: str, value: Any, ndims: Sequence[int] | None = None, advice: str = ""
) -> Float[np.ndarray, "..."]:
    """A float64 copy of finite real numbers, with one of the given numbers of axes.

    Booleans, texts, complex numbers, dates, masked arrays and rows of unequal length are refused.
    """
    found = _read(name, value)
    if ndims is not None and found.ndim not in ndims:
        axes = " or ".join(map(str, ndims))
        raise InvalidProblem(
            f"Argument `{name}` must be an array with {axes} axes, but has the shape "
            f"{found.shape}; {advice or 'reshape it'}."
        )
    with np.errstate(over="ignore"):
        numbers = np.array(found, dtype=np.float64, order="C")
    bad = ~(np.abs(numbers) <= LARGEST)
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        worst = numbers[place]
        where = f" at {place}" if numbers.ndim else ""
        more = f" ({int(bad.sum())} such entries)" if numbers.ndim else ""
        todo = "rescale it" if np.isfinite(worst) else "remove or replace what is not finite"
        raise InvalidProblem(
            f"Argument `{name}` must hold finite numbers of size at most {LARGEST:g}, but has "
            f"{worst}{where}{more}; {todo}."
        )
    return numbers


def matrix(name: str, value: Any) -> Float[np.ndarray, "sample dimension"]:
    """A finite matrix with one row per sample and at least one column."""
    found = array(name, value)
    if found.ndim != 2 or found.shape[1] == 0:
        raise InvalidProblem(
            f"Argument `{name}` must be a matrix (samples, dimension) with at least one column, "
            f"but has the shape {found.shape}; flatten images and give one row per sample."
        )
    return found


def vector(name: str, value: Any, length: int) -> Float[np.ndarray, " sample"]:
    """A finite vector with `length` entries."""
    found = array(name, value)
    if found.shape != (length,):
        raise InvalidProblem(
            f"Argument `{name}` must be a vector with one number per sample, ({length},), but has "
            f"the shape {found.shape}; give as many numbers as samples."
        )
    return found


def require_no_mask(name: str, value: Any) -> None:
    """Refuse masked arrays where other packages read the numbers, which drop the mask."""
    try:
        masked = _has_mask(value) or isinstance(np.asanyarray(value), np.ma.MaskedArray)
    except Exception:  # no array at all, which the other package says in its own words
        return
    if masked:
        raise refuse(name, value, "an array without a mask", "fill or drop the masked entries")


def _read(name: str, value: Any) -> np.ndarray:
    """The numbers as NumPy reads them, refused where they are none."""
    if isinstance(value, bytes | bytearray | memoryview):
        raise refuse(name, value, "an array of real numbers", "give no bytes")
    try:
        found = None if _has_mask(value) else np.asanyarray(value)
    except Exception:  # rows of unequal length, or the value's own code
        raise refuse(name, value, "an array of real numbers", "give rows of equal length") from None
    if found is None or isinstance(found, np.ma.MaskedArray):
        raise refuse(name, value, "an array without a mask", "fill or drop the masked entries")
    found = np.asarray(found)
    if found.dtype.kind not in "uif":
        kind = {"b": "booleans", "c": "complex numbers", "U": "text", "S": "bytes"}
        said = kind.get(found.dtype.kind, f"values that are none, {shown(value)}")
        raise InvalidProblem(
            f"Argument `{name}` must hold real numbers, but holds {said}; give numbers in rows of "
            "equal length."
        )
    if isinstance(value, list | tuple) and any(map(_no_number, np.array(value, object).flat)):
        raise refuse(name, value, "an array of real numbers", "replace booleans and masked entries")
    return found


def _has_mask(value: Any) -> bool:
    """Whether there is a masked array in it; NumPy would join rows by what is under the mask."""
    if isinstance(value, np.ma.MaskedArray):
        return True
    if not isinstance(value, Sequence) or isinstance(value, str | bytes | np.ndarray):
        return False
    return any(_has_mask(entry) for entry in value if not isinstance(entry, float | int))


def _no_number(entry: Any) -> bool:
    """Whether NumPy would turn an entry of a list into a number that is none."""
    return isinstance(entry, bool | np.bool_ | np.ma.MaskedArray)


def class_numbers(name: str, value: Any, length: int) -> Int[np.ndarray, " sample"]:
    """Classes 0, 1, ... in place of one integer, word, boolean or finite number per sample."""
    try:
        found = np.asarray(None) if _has_mask(value) else np.asanyarray(value)
    except Exception:  # rows of unequal length, or the value's own code
        found = np.asarray(None)
    good = found.dtype.kind in "biuU" or (found.dtype.kind == "f" and np.isfinite(found).all())
    if isinstance(found, np.ma.MaskedArray) or not good or found.shape != (length,):
        allowed = f"one integer or word for each of {length} samples"
        raise refuse(name, value, allowed, "give as many as samples")
    return np.unique(found, return_inverse=True)[1]
