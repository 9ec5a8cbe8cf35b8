"""What a text argument may be: a word out of several, a free text, a path."""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from orderparam.errors import InvalidProblem
from orderparam.support.spelling import nearest
from orderparam.support.values import refuse, scalar, shown


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
    near = nearest(found, words)
    advice = f".{near}" if near else "; choose one of them."
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
    try:
        found = os.fspath(scalar(value))
    except Exception:  # no path, or the value's own code
        found = None
    if not isinstance(found, str) or not found:
        raise refuse(name, value, "a path, as text or pathlib.Path", "give one")
    if "\0" in found:
        raise refuse(name, value, "a path without null characters", "remove them")
    return Path(found)


def old_name(family: str, name: str, renamed: Mapping[str, str]) -> Exception:
    """What a family's module raises for a name that it does not have."""
    if name in renamed:
        return InvalidProblem(
            f"orderparam.{family}.{name} is called {renamed[name]} now; write "
            f"orderparam.{family}.{renamed[name]}."
        )
    return AttributeError(f"module 'orderparam.{family}' has no attribute {name!r}")


def is_there(path: Path, check: Callable[[Path], bool]) -> bool:
    """Whether there is such a file or folder; a name that no system can have is not there."""
    try:
        return check(path)
    except (OSError, ValueError):
        return False
