"""Sizes, numbers of runs and precision of ladders."""

from typing import Any

from orderparam.errors import InvalidProblem
from orderparam.support.arguments import integers, one_of, refuse


def ladder_sizes(sizes: Any, least: int) -> tuple[int, ...]:
    """Increasing scale factors, `least` of them at least."""
    checked = integers("size", sizes)
    if len(checked) < least or checked != sorted(set(checked)):
        allowed = f"at least {least} increasing scale factors"
        raise refuse("size", sizes, allowed, "give for example [1, 2, 4]")
    return tuple(checked)


def same_number(seeds: Any) -> int:
    """The number of runs, the same for every size."""
    checked = integers("seeds", seeds)
    if len(set(checked)) != 1:
        raise InvalidProblem(
            f"Argument `seeds` is {seeds!r}, but a fit over sizes needs the same number of runs at "
            "each; give one number."
        )
    return checked[0]


def single_precision(precision: Any) -> str:
    """The precision of training, which is float32."""
    if one_of("precision", precision, ("float32", "float64")) != "float32":
        raise InvalidProblem(
            f"Argument `precision` is {precision!r}, but the reference models train in float32; "
            'use precision="float32".'
        )
    return precision
