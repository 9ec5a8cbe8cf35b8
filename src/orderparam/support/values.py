"""What a value is, before any rule: its Python number, its entries, and how messages show it."""

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from orderparam.errors import InvalidProblem

MOST = 2**53
"""Largest integer that an argument may be; all integers up to here are exact as float64."""

LARGEST = 1e100
"""Largest size of a number; squares and their sums stay far from overflow."""

_DATES = (np.datetime64, np.timedelta64)


def attribute(value: Any, name: str) -> Any:
    """An attribute of whatever was given, `None` where there is none or it cannot be asked for."""
    try:
        return getattr(value, name, None)
    except Exception:  # the value's own code; a check must not fail for it
        return None


def shown(value: Any) -> str:
    """A value as messages show it: in full where that is short, otherwise its kind and shape."""
    if isinstance(value, np.ma.MaskedArray):
        return f"a masked array of shape {value.shape}"
    shape = attribute(value, "shape")
    if isinstance(shape, tuple) and shape:
        return f"a {type(value).__name__} of shape {shape}"
    try:
        text = repr(value)
    except Exception as error:  # the value's own code; a message must not fail for it
        return f"a {type(value).__name__} ({type(error).__name__} when shown)"
    return text if len(text) <= 60 and text.isprintable() else f"a {type(value).__name__}"


def refuse(name: str, value: Any, allowed: str, advice: str = "choose one") -> InvalidProblem:
    """The error that all checks raise."""
    return InvalidProblem(f"Argument `{name}` must be {allowed}, but is {shown(value)}; {advice}.")


def one_line(error: BaseException) -> str:
    """The first line of what an error says."""
    try:
        return (str(error).splitlines() or [""])[0][:200]
    except Exception:  # the error's own code
        return ""


def scalar(value: Any) -> Any:
    """The Python value of a NumPy number or of an array without axes; anything else as it is."""
    if isinstance(value, (np.ma.MaskedArray, np.void, *_DATES)):
        return value
    kind = attribute(attribute(value, "dtype"), "kind")
    if kind in ("m", "M", "V"):  # dates and records, whose Python values would be integers, tuples
        return value
    if isinstance(value, np.generic) or attribute(value, "ndim") == 0:
        try:
            return value.item()
        except Exception:  # no number at all, such as a key of JAX
            return value
    return value


def is_integer(value: Any) -> bool:
    """Whether a value is an integer, and no boolean."""
    value = scalar(value)
    return isinstance(value, Integral) and not isinstance(value, (bool, *_DATES))


def number(value: Any) -> float:
    """A real number as a float; NaN for whatever is not one."""
    value = scalar(value)
    if isinstance(value, (bool, *_DATES)) or not isinstance(value, Real):
        return math.nan
    try:
        return float(value)
    except (OverflowError, TypeError, ValueError):
        return math.nan


def several(value: Any) -> list[Any] | None:
    """The entries of a sequence of values or of a vector, `None` for a single value."""
    value = scalar(value)
    if isinstance(value, str | bytes | bytearray | memoryview | np.ma.MaskedArray):
        return None
    if not isinstance(value, Sequence) and attribute(value, "ndim") != 1:
        return None
    try:
        return list(value)
    except Exception:  # the value's own code; it is no sequence then
        return None
