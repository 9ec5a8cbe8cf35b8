"""Which classes of a labelled data set are wanted."""

from typing import Any

from orderparam.support.arguments import is_integer, refuse, scalar, several


def distinct_classes(value: Any, number: int, most: int | None = None) -> tuple[int, ...]:
    """At least two (and at most `most`) different classes out of 0 ... `number` - 1."""
    entries = several(value)
    classes = [value] if entries is None else entries
    known = all(is_integer(c) and 0 <= int(scalar(c)) < number for c in classes)
    chosen = tuple(int(scalar(c)) for c in classes) if known else ()
    enough = 2 <= len(chosen) <= (most or number)
    if not enough or len(set(chosen)) < len(chosen):
        amount = "two" if most == 2 else "two or more"
        raise refuse(
            "classes",
            value,
            f"{amount} different integers from 0 to {number - 1}",
            "of two, the first is labelled -1, the second +1",
        )
    return chosen
