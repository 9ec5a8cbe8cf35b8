"""What the fields of a problem may be; each check returns the value or says what to change."""

import math
from collections.abc import Sequence
from typing import Any

from orderparam.errors import InvalidProblem


def count(name: str, value: Any, least: int = 1) -> int:
    """An integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidProblem(
            f"Argument `{name}` must be an integer of at least {least}, but is {value!r}; "
            "choose one."
        )
    return value


def positive(name: str, value: Any) -> float:
    """A finite number above 0."""
    real = isinstance(value, int | float) and not isinstance(value, bool)
    if not real or not math.isfinite(value) or value <= 0:
        raise InvalidProblem(
            f"Argument `{name}` must be a finite number above 0, but is {value!r}; choose one."
        )
    return float(value)


def one_of(name: str, value: Any, known: Sequence[str]) -> str:
    """One of several words."""
    if value not in known:
        raise InvalidProblem(
            f"Argument `{name}` must be one of {', '.join(known)}, but is {value!r}; choose one."
        )
    return value


def truth(name: str, value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise InvalidProblem(
            f"Argument `{name}` must be true or false, but is {value!r}; choose one."
        )
    return value


def ladder_sizes(sizes: Any, least: int) -> tuple[int, ...]:
    """Increasing scale factors, `least` of them at least."""
    several = tuple(sizes) if hasattr(sizes, "__len__") else (sizes,)
    checked = tuple(count("size", size) for size in several)
    if len(checked) < least or list(checked) != sorted(set(checked)):
        raise InvalidProblem(
            f"Argument `size` must hold at least {least} increasing scale factors, but is "
            f"{sizes!r}; give for example [1, 2, 4]."
        )
    return checked


def same_number(seeds: Any) -> int:
    """The number of runs, the same for every size."""
    several = list(seeds) if hasattr(seeds, "__len__") else [seeds]
    if len(set(several)) != 1:
        raise InvalidProblem(
            f"Argument `seeds` is {seeds!r}, but a fit over sizes needs the same number of runs at "
            "each; give one number."
        )
    return count("seeds", several[0])


def single_precision(precision: Any) -> str:
    """The precision of training, which is float32."""
    if precision != "float32":
        raise InvalidProblem(
            f"Argument `precision` is {precision!r}, but the reference models train in float32; "
            'use precision="float32".'
        )
    return precision
