"""What an argument may be; each check returns the clean value or says what to change."""

import math
import operator
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
from jaxtyping import Float

from orderparam.errors import InvalidProblem


def count(name: str, value: Any) -> int:
    """An integer of at least 1."""
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1 or isinstance(value, bool | np.bool_):
        raise InvalidProblem(
            f"Argument `{name}` must be an integer of at least 1, but is {value!r}; choose one."
        )
    return number


def real(
    name: str, value: Any, low: float, high: float = math.inf, *, open_low: bool = False
) -> float:
    """A finite number in [low, high), or above `low` alone with `open_low`."""
    try:
        number = float("nan") if isinstance(value, bool | str) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and low <= number < high) or (open_low and number == low):
        above = f"above {low:g}" if open_low else f"of at least {low:g}"
        below = "" if high == math.inf else f" and below {high:g}"
        raise InvalidProblem(
            f"Argument `{name}` must be a finite number {above}{below}, but is {value!r}; "
            "choose one in that range."
        )
    return number


def truth(name: str, value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool | np.bool_):
        raise InvalidProblem(
            f"Argument `{name}` must be true or false, but is {value!r}; choose one."
        )
    return bool(value)


def one_of(name: str, value: Any, allowed: Sequence[str]) -> str:
    """One of the `allowed` words; the message suggests the nearest one."""
    if isinstance(value, str) and value in allowed:
        return value
    near = get_close_matches(str(value), allowed, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise InvalidProblem(
        f"Argument `{name}` must be one of {', '.join(map(repr, allowed))}, but is {value!r}.{hint}"
    )


def array(name: str, value: Any, ndims: Sequence[int]) -> Float[np.ndarray, "..."]:
    """A finite array of real numbers with one of the given numbers of axes, as float64."""
    try:
        numbers = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidProblem(
            f"Argument `{name}` must be an array of real numbers, but is a "
            f"{type(value).__name__}; give numbers in rows of equal length."
        ) from None
    if numbers.ndim not in ndims:
        axes = " or ".join(map(str, ndims))
        raise InvalidProblem(
            f"Argument `{name}` must have {axes} axes, but has shape {numbers.shape}; reshape it."
        )
    if not np.isfinite(numbers).all():
        raise InvalidProblem(
            f"Argument `{name}` has entries that are not finite; remove NaN and infinity."
        )
    return numbers
