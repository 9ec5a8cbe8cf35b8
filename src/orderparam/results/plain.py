"""Descriptions as plain JSON values."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from orderparam.errors import InvalidProblem
from orderparam.support.reading import DEEPEST


def plain(value: Any, where: str, levels: int = DEEPEST) -> Any:
    """Turn NumPy numbers, arrays, tuples and mappings into JSON values.

    JSON has no infinite numbers: they become the strings `"nan"`, `"inf"` and `"-inf"`.

    Args:
        value: What to convert.
        where: Name of `value`, for the message.
        levels: How many levels of lists and mappings it may have.

    Returns:
        Only `dict`, `list`, `str`, `int`, `float`, `bool` and `None`.

    Raises:
        InvalidProblem: If a part is of another type, a key is not a string, or it is too deep.
    """
    if levels < 0:
        raise InvalidProblem(
            f"The description `{where[:60]}...` has more than {DEEPEST} levels; make it flatter."
        )
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return value if np.isfinite(value) else str(value)
    if isinstance(value, list | tuple):
        return [plain(part, f"{where}[{i}]", levels - 1) for i, part in enumerate(value)]
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise InvalidProblem(
                    f"The mapping `{where}` has the key {key!r}, but keys must be strings; write "
                    "it as a string."
                )
        return {str(key): plain(part, f"{where}.{key}", levels - 1) for key, part in value.items()}
    raise InvalidProblem(
        f"The value of `{where}` is of type {type(value).__name__}, but descriptions hold numbers, "
        "strings, booleans, None, lists and mappings; convert it to one of them."
    )


def first_difference(left: Any, right: Any, where: str) -> str | None:
    """The first place where two plain values differ, in words, or `None` if they are equal."""
    if isinstance(left, dict) and isinstance(right, dict):
        for key in [*left, *(k for k in right if k not in left)]:
            if key not in left or key not in right:
                side = "only the theory" if key in left else "only the experiment"
                return f"`{where}.{key}` is given by {side}"
            if found := first_difference(left[key], right[key], f"{where}.{key}"):
                return found
        return None
    if isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        found = (
            first_difference(a, b, f"{where}[{i}]")
            for i, (a, b) in enumerate(zip(left, right, strict=True))
        )
        return next((difference for difference in found if difference), None)
    if left == right:
        return None
    return f"`{where}` is {left!r} for the theory but {right!r} for the experiment"
