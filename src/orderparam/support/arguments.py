"""What a single argument may be: every check, once, for all families.

Each check returns the clean Python value, or raises `InvalidProblem` with one sentence: what was
given, what is allowed, what to do. Python and NumPy numbers, booleans and arrays without axes are
treated alike; a boolean is no number, a text is never read as one.
"""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np

from orderparam.errors import InvalidProblem

MOST = 2**53
"""Largest integer that an argument may be; all integers up to here are exact as float64."""

LARGEST = 1e100
"""Largest size of a number; squares and their sums stay far from overflow."""


def shown(value: Any) -> str:
    """A value as messages show it: in full where that is short, otherwise its kind and shape."""
    if isinstance(value, np.ma.MaskedArray):
        return f"a masked array of shape {value.shape}"
    if getattr(value, "ndim", 0):
        return f"a {type(value).__name__} of shape {tuple(value.shape)}"
    try:
        text = repr(value)
    except Exception as error:  # the value's own code; a message must not fail for it
        return f"a {type(value).__name__} ({type(error).__name__} when shown)"
    return text if len(text) <= 60 else f"a {type(value).__name__}"


def scalar(value: Any) -> Any:
    """The Python value of a NumPy number or of an array without axes; anything else as it is."""
    if isinstance(value, np.ma.MaskedArray):
        return value
    if isinstance(value, np.generic) or getattr(value, "ndim", None) == 0:
        try:
            return value.item()
        except (TypeError, ValueError, AttributeError):
            return value
    return value


def refuse(name: str, value: Any, allowed: str, advice: str = "choose one") -> InvalidProblem:
    """The error that all checks raise."""
    return InvalidProblem(f"Argument `{name}` must be {allowed}, but is {shown(value)}; {advice}.")


def is_integer(value: Any) -> bool:
    """Whether a value is an integer, and no boolean."""
    value = scalar(value)
    return isinstance(value, Integral) and not isinstance(value, bool)


def integer(
    name: str, value: Any, least: int = 1, most: int = MOST, advice: str = "choose one"
) -> int:
    """An integer from `least` to `most`."""
    if not is_integer(value) or not least <= int(scalar(value)) <= most:
        upper = "" if most >= MOST else f" and at most {most}"
        raise refuse(name, value, f"an integer of at least {least}{upper}", advice)
    return int(scalar(value))


def several(value: Any) -> list[Any] | None:
    """The entries of a sequence of values or of a vector, `None` for a single value."""
    value = scalar(value)
    if isinstance(value, str | bytes | dict) or not hasattr(value, "__len__"):
        return None
    if isinstance(value, np.ma.MaskedArray) or getattr(value, "ndim", 1) != 1:
        return None
    return list(value)


def integers(name: str, value: Any, least: int = 1) -> list[int]:
    """One integer of at least `least`, or a sequence of them, as a list."""
    entries = several(value)
    entries = [value] if entries is None else entries
    if not entries or not all(is_integer(e) and least <= int(scalar(e)) <= MOST for e in entries):
        allowed = f"an integer of at least {least} or a list of them"
        raise refuse(name, value, allowed, f"give for example {max(least, 8)}")
    return [int(scalar(entry)) for entry in entries]


def number(value: Any) -> float:
    """A real number as a float; NaN for whatever is not one."""
    value = scalar(value)
    if isinstance(value, bool) or not isinstance(value, Real):
        return math.nan
    try:
        return float(value)
    except (OverflowError, TypeError, ValueError):
        return math.nan


def real(
    name: str,
    value: Any,
    low: float = -LARGEST,
    high: float = LARGEST,
    *,
    open_low: bool = False,
    open_high: bool = False,
    advice: str = "choose one in that range",
) -> float:
    """A finite number between two bounds, which are allowed themselves unless they are open."""
    found = number(value)
    inside = low <= found <= high
    if not inside or (open_low and found == low) or (open_high and found == high):
        raise refuse(name, value, _range(low, high, open_low, open_high), advice)
    return found


def positive(name: str, value: Any, advice: str = "choose one") -> float:
    """A finite number above 0."""
    return real(name, value, 0.0, open_low=True, advice=advice)


def at_least_zero(name: str, value: Any, advice: str = "choose one") -> float:
    """A finite number of at least 0."""
    return real(name, value, 0.0, advice=advice)


def fraction(name: str, value: Any, advice: str = "choose one") -> float:
    """A number from 0 to below 1."""
    return real(name, value, 0.0, 1.0, open_high=True, advice=advice)


def probability(name: str, value: Any, advice: str = "choose one") -> float:
    """A number between 0 and 1, both excluded."""
    return real(name, value, 0.0, 1.0, open_low=True, open_high=True, advice=advice)


def truth(name: str, value: Any) -> bool:
    """True or false; no number stands for either."""
    found = scalar(value)
    if not isinstance(found, bool):
        raise refuse(name, value, "true or false")
    return found


def one_of(
    name: str, value: Any, allowed: Iterable[str], renamed: Mapping[str, str] | None = None
) -> str:
    """One of several words; the message suggests the nearest, or the new spelling of an old one."""
    words, found = list(allowed), scalar(value)
    if isinstance(found, str) and found in words:
        return str(found)
    if isinstance(found, str) and renamed is not None and found in renamed:
        raise InvalidProblem(
            f"Argument `{name}` is {found!r}, which is called {renamed[found]!r} now; write that."
        )
    near = get_close_matches(found, words, n=1) if isinstance(found, str) else []
    advice = f". Did you mean {near[0]!r}?" if near else "; choose one of them."
    raise InvalidProblem(
        f"Argument `{name}` must be one of {', '.join(map(repr, words))}, but is {shown(value)}"
        f"{advice}"
    )


def text(name: str, value: Any) -> str:
    """A text that is not empty."""
    found = scalar(value)
    if not isinstance(found, str) or not found:
        raise refuse(name, value, "a text that is not empty", "give one")
    return str(found)


def checked_path(name: str, value: Any) -> Path:
    """A path of a file or folder, given as text or as a path; no number is read as one."""
    found = scalar(value)
    if isinstance(found, bytes) or not isinstance(found, str | os.PathLike) or not str(found):
        raise refuse(name, value, "a path, as text or pathlib.Path", "give one")
    if "\0" in str(found):
        raise refuse(name, value, "a path without null characters", "remove them")
    return Path(found)


def instance(name: str, value: Any, kind: type, advice: str) -> Any:
    """A value of one of our own types."""
    if not isinstance(value, kind):
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        raise refuse(name, value, f"{article} {kind.__name__}", advice)
    return value


def sequence(name: str, value: Any, of: str, least: int = 1) -> Sequence[Any]:
    """A sequence of at least `least` entries, which are checked by whoever calls."""
    entries = several(value)
    if entries is None or len(entries) < least:
        raise refuse(name, value, f"a sequence of at least {least} {of}", "give a list")
    return entries


def _range(low: float, high: float, open_low: bool, open_high: bool) -> str:
    """Words for an interval; the largest size of a number counts as no bound."""
    below = "" if high >= LARGEST else f"{'below' if open_high else 'at most'} {high:g}"
    above = "" if low <= -LARGEST else f"{'above' if open_low else 'of at least'} {low:g}"
    return "a finite number" + "".join(
        f" {p}" for p in (" and ".join(filter(None, (above, below))),) if p
    )


def old_name(family: str, name: str, renamed: Mapping[str, str]) -> Exception:
    """What a family's module raises for a name that it does not have."""
    if name in renamed:
        return InvalidProblem(
            f"orderparam.{family}.{name} is called {renamed[name]} now; write "
            f"orderparam.{family}.{renamed[name]}."
        )
    return AttributeError(f"module 'orderparam.{family}' has no attribute {name!r}")
