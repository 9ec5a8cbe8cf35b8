"""What a single argument may be: every check, once, for all families.

Each check returns the clean Python value, or raises `InvalidProblem` with one sentence: what was
given, what is allowed, what to do. Python and NumPy numbers, booleans and arrays without axes are
treated alike; a boolean is no number, a text is never read as one.
"""

from collections.abc import Callable, Sequence
from typing import Any

from orderparam.support.spelling import nearest
from orderparam.support.values import (
    LARGEST,
    MOST,
    is_integer,
    number,
    one_line,
    refuse,
    scalar,
    several,
    shown,
)
from orderparam.support.words import checked_path, is_there, old_name, one_of, text

__all__ = [
    "LARGEST",
    "MOST",
    "at_least_zero",
    "checked_path",
    "fraction",
    "function",
    "instance",
    "integer",
    "integers",
    "is_integer",
    "is_there",
    "nearest",
    "number",
    "old_name",
    "one_line",
    "one_of",
    "optional",
    "positive",
    "probability",
    "real",
    "reals",
    "refuse",
    "scalar",
    "sequence",
    "several",
    "shown",
    "sizes_and_runs",
    "text",
    "truth",
]


def integer(
    name: str, value: Any, least: int = 1, most: int = MOST, advice: str = "choose one"
) -> int:
    """An integer from `least` to `most`."""
    if not is_integer(value) or not least <= int(scalar(value)) <= most:
        upper = "" if most >= MOST else f" and at most {most}"
        raise refuse(name, value, f"an integer of at least {least}{upper}", advice)
    return int(scalar(value))


def integers(name: str, value: Any, least: int = 1, most: int = MOST) -> list[int]:
    """One integer of at least `least`, or a sequence of them, as a list."""
    entries = several(value)
    entries = [value] if entries is None else entries
    if not entries or not all(is_integer(e) and least <= int(scalar(e)) <= most for e in entries):
        upper = "" if most >= MOST else f" and at most {most}"
        allowed = f"an integer of at least {least}{upper} or a list of them"
        raise refuse(name, value, allowed, f"give for example {min(max(least, 8), most)}")
    return [int(scalar(entry)) for entry in entries]


def sizes_and_runs(name: str, sizes: Any, seeds: Any) -> tuple[list[int], list[int]]:
    """Distinct sizes of an experiment, and a number of runs for each."""
    chosen, runs = integers(name, sizes), integers("seeds", seeds)
    if len(set(chosen)) < len(chosen):
        allowed = "a size or different sizes"
        raise refuse(name, sizes, allowed, "name each once and ask for more `seeds` instead")
    if several(seeds) is None:
        runs = runs * len(chosen)
    if len(runs) != len(chosen):
        allowed = f"one number of runs, or one for each of {len(chosen)} sizes"
        raise refuse("seeds", seeds, allowed, "give as many as sizes")
    return chosen, runs


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


def reals(
    name: str, value: Any, check: Callable[[str, Any], float] = real, least: int = 1
) -> list[float]:
    """A sequence of at least `least` numbers, each of which passes a check."""
    return [check(name, entry) for entry in sequence(name, value, "numbers", least)]


def function(name: str, value: Any, of: str) -> Callable[..., Any]:
    """A function; what it takes and gives is checked by whoever calls it."""
    if not callable(value):
        raise refuse(name, value, f"a function of {of}", "give one")
    return value


def optional(check: Callable[..., Any], name: str, value: Any, *settings: Any) -> Any:
    """`None` as it is, and what a check makes of anything else."""
    return None if value is None else check(name, value, *settings)


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
