"""Checks of arguments that problems and networks share."""

import operator
from typing import Any

from orderparam.errors import InvalidProblem


def count(name: str, value: Any) -> int:
    """A whole number of at least 1.

    Raises:
        InvalidProblem: If it is none.
    """
    try:
        found = operator.index(value)
    except TypeError:
        found = 0
    if found < 1 or isinstance(value, bool):
        raise InvalidProblem(
            f"Argument `{name}` must be an integer of at least 1, but is {value!r}; choose one."
        )
    return found
