"""What an argument may be; each check returns the clean value or says what to change."""

import math
from collections.abc import Sequence
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any

import numpy as np
from jaxtyping import Float

from orderparam.errors import InvalidProblem

LARGEST = 1e100  # squares and their sums stay far from overflow


def integer(name: str, value: Any, minimum: int) -> int:
    """An integer of at least `minimum`; booleans and floats are refused."""
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < minimum:
        raise InvalidProblem(
            f"Argument `{name}` must be an integer of at least {minimum}, but is {value!r}."
        )
    return int(value)


def non_negative(name: str, value: Any) -> float:
    """A finite real number of at least 0."""
    valid = isinstance(value, Real) and not isinstance(value, bool)
    if not valid or not 0 <= float(value) <= LARGEST:
        raise InvalidProblem(
            f"Argument `{name}` must be a number from 0 to {LARGEST:g}, but is {value!r}."
        )
    return float(value)


def one_of(name: str, value: Any, allowed: Sequence[str]) -> str:
    """One of the `allowed` words; the message suggests the nearest one."""
    if isinstance(value, str) and value in allowed:
        return value
    near = get_close_matches(str(value), allowed, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    words = ", ".join(repr(word) for word in allowed)
    raise InvalidProblem(f"Argument `{name}` must be one of {words}, but is {value!r}.{hint}")


def distinct_classes(value: Any, number: int, most: int | None = None) -> tuple[int, ...]:
    """At least two (and at most `most`) different classes out of 0 ... `number` - 1."""
    try:
        classes = tuple(value)
    except TypeError:
        classes = (value,)
    known = all(isinstance(c, Integral) and 0 <= int(c) < number for c in classes)
    enough = 2 <= len(classes) <= (most or number)
    if not enough or not known or len(set(classes)) < len(classes):
        amount = "two" if most == 2 else "two or more"
        raise InvalidProblem(
            f"Argument `classes` must be {amount} different integers from 0 to {number - 1} (of "
            f"two, the first is labelled -1, the second +1), but is {value!r}."
        )
    return tuple(int(c) for c in classes)


def matrix(name: str, value: Any) -> Float[np.ndarray, "sample dimension"]:
    """Float64 copy of a finite matrix with one row per sample and at least one column."""
    array = _numbers(name, value)
    if array.ndim != 2 or array.shape[1] == 0:
        raise InvalidProblem(
            f"Argument `{name}` must be a matrix (samples, dimension) with at least one column, "
            f"but has the shape {array.shape}; flatten images and give one row per sample."
        )
    return array


def vector(name: str, value: Any, length: int) -> Float[np.ndarray, " sample"]:
    """Float64 copy of a finite vector with `length` entries."""
    array = _numbers(name, value)
    if array.shape != (length,):
        raise InvalidProblem(
            f"Argument `{name}` must be a vector with one number per sample, ({length},), but has "
            f"the shape {array.shape}."
        )
    return array


def _numbers(name: str, value: Any) -> Float[np.ndarray, "..."]:
    """Float64 copy of real finite numbers of moderate size."""
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise InvalidProblem(
            f"Argument `{name}` cannot be read as an array: {error}. Give rows of equal length."
        ) from error
    if array.dtype.kind not in "buif":
        raise InvalidProblem(
            f"Argument `{name}` must hold real numbers, but its type is {array.dtype}."
        )
    with np.errstate(over="ignore"):
        array = np.array(array, dtype=np.float64, order="C")
    bad = ~(np.abs(array) <= LARGEST)
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        worst = array[place]
        advice = "rescale it" if math.isfinite(worst) else "remove or replace these samples"
        raise InvalidProblem(
            f"Argument `{name}` must hold finite numbers of size at most {LARGEST:g}, but {worst} "
            f"stands at {place} ({int(bad.sum())} such entries); {advice}."
        )
    return array
