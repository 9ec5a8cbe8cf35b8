"""Values of the tuned base model, given once for all parameters or by role."""

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase

from orderparam.errors import InvalidProblem
from orderparam.experts.rules.contents import Entry
from orderparam.experts.rules.rows import ROWS
from orderparam.support.arguments import at_least_zero, nearest

Base = float | int | Mapping[str, float]
"""One number, or numbers by role or name pattern, with `default` for the rest."""

_ADVICE = "give the value that the base model was tuned with"


def checked_values(name: str, given: Base, check: Callable[..., float]) -> Base:
    """One number, or numbers by role, each of which passes a check of arguments.

    Raises:
        InvalidProblem: If one does not, or a role does not exist; the nearest one is named.
    """
    if not isinstance(given, Mapping):
        return check(name, given, advice=_ADVICE)
    for role in given:
        if role != "default" and role not in ROWS:
            raise InvalidProblem(
                f"Argument `{name}` names the role {role!r}, which does not exist; use "
                f"'default' or one of {', '.join(ROWS)}.{nearest(role, ['default', *ROWS])}"
            )
    return {role: check(name, number, advice=_ADVICE) for role, number in given.items()}


def of_role(given: Base, role: str, what: str) -> float:
    """The value of a role, where one number or numbers by role are given."""
    if not isinstance(given, Mapping):
        return float(given)
    if role not in given and "default" not in given:
        raise InvalidProblem(
            f"Argument `{what}` gives no value for the role {role!r}; add it, or the key 'default'."
        )
    return float(given.get(role, given.get("default", 0.0)))


def checked_std(given: Base | None, entries: Iterable[Entry]) -> Base | None:
    """Standard deviations of the base: one number, or numbers by role or name pattern.

    Raises:
        InvalidProblem: If one is negative or not finite, or a key means no parameter.
    """
    if given is None:
        return None
    if not isinstance(given, Mapping):
        return at_least_zero("base_std", given, _ADVICE)
    entries = list(entries)
    known = ["default", *{e.role: None for e in entries}, *(e.name for e in entries)]
    for key in given:
        if key != "default" and not any(_means(key, entry) for entry in entries):
            raise InvalidProblem(
                f"Argument `base_std` names {key!r}, which is no role or parameter of the plan; "
                f"use a role, a name pattern or 'default'.{nearest(key, known)}"
            )
    return {key: at_least_zero("base_std", number, _ADVICE) for key, number in given.items()}


def initial_std(entry: Entry, base_std: Base | None) -> float:
    """Std of one parameter: the base's times the multiplier.

    A number for all, or for the rest, is multiplied by the factor that the model's own code puts on
    this parameter; a number for its role or name is taken as it is.
    """
    base = entry.base_fan_in**-0.5 * entry.std_factor
    if isinstance(base_std, Mapping):
        fitting = [key for key in base_std if key != "default" and _means(key, entry)]
        if fitting:
            base = float(base_std[fitting[0]])
        elif "default" in base_std:
            base = float(base_std["default"]) * entry.std_factor
    elif base_std is not None:
        base = float(base_std) * entry.std_factor
    return base * entry.std


def _means(key: str, entry: Entry) -> bool:
    """Whether a key is the role of a parameter, or a pattern of its name."""
    return key == entry.role or fnmatchcase(entry.name, key)
