"""TOML with line numbers on the way in, and a writer for resolved studies on the way out."""

import json
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from orderparam.errors import InvalidProblem
from orderparam.support.reading import DEEPEST, require_levels

Path = tuple[str, ...]


def parse(text: str, name: str) -> tuple[dict[str, Any], dict[Path, int]]:
    """Read TOML text and remember on which line each key stands.

    Args:
        text: The content of the file.
        name: What to call the file in messages.

    Returns:
        The values, and the line (from 1) of every key, by path; a key `"a.b"` counts as `a.b`.

    Raises:
        InvalidProblem: If the text is not TOML; the message names line and column.
    """
    try:
        values = _loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidProblem(
            f"Study file {name} is not valid TOML: {error}. Correct that line; strings need "
            "quotes, and a table starts with its name in square brackets."
        ) from None
    return values, {normal(path): line for path, line in _lines(text)}


def parse_value(text: str, path: str) -> Any:
    """The value of `--set path=text`, in TOML syntax.

    Raises:
        InvalidProblem: If the text is not a TOML value.
    """
    try:
        return _loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        raise InvalidProblem(
            f"`--set {path}={text}` is not a TOML value; write numbers plainly (0.5), strings in "
            f"quotes (--set '{path}=\"{text}\"'), lists in brackets ([1, 2]), and true or false."
        ) from None


def _loads(text: str) -> dict[str, Any]:
    """TOML whose lists and tables are not nested without bound, which would end in other errors."""
    try:
        found = tomllib.loads(text)
        require_levels(found)
    except tomllib.TOMLDecodeError:
        raise
    except (RecursionError, ValueError):
        raise tomllib.TOMLDecodeError(f"more than {DEEPEST} levels in one value") from None
    return found


def normal(path: Path) -> Path:
    """A path whose parts hold no dots."""
    return tuple(".".join(path).split("."))


def flatten(table: Mapping[str, Any], prefix: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Leaves of nested tables as paths; a key `"a.b"` means the same as `a.b`."""
    for key, value in table.items():
        path = (*prefix, *key.split("."))
        if isinstance(value, Mapping):
            yield from flatten(value, path)
        else:
            yield path, value


def _lines(text: str) -> Iterator[tuple[Path, int]]:
    """Path and first line of each statement; a statement ends where it parses alone."""
    table: Path = ()
    statement = ""
    start = 1
    for number, line in enumerate(text.splitlines(), start=1):
        if not statement:
            start = number
        statement += line + "\n"
        try:
            parsed = _loads(statement)
        except tomllib.TOMLDecodeError:
            continue  # a list or a string that goes on in the next line
        is_header = statement.lstrip().startswith("[")
        paths = list(_paths(parsed))
        if is_header:
            table = max(paths, key=len)
        for path in paths:
            yield (path if is_header else table + path), start
        statement = ""


def _paths(value: Mapping[str, Any]) -> Iterator[Path]:
    """All paths in nested tables, tables themselves included."""
    for key, inner in value.items():
        yield (key,)
        if isinstance(inner, list) and inner and isinstance(inner[0], Mapping):
            inner = inner[0]
        if isinstance(inner, Mapping):
            for rest in _paths(inner):
                yield (key, *rest)


def dump(values: Mapping[str, Any]) -> str:
    """Write nested plain values as TOML; `None` values are left out.

    Args:
        values: Tables of strings, numbers, booleans, lists and tables.

    Returns:
        TOML text that reads back to the same values.
    """
    return "\n".join(_table(values, ())).strip() + "\n"


def _table(values: Mapping[str, Any], path: Path) -> Iterator[str]:
    """Lines of one table: its own values first, then the tables inside it."""
    if path:
        yield ""
        yield f"[{'.'.join(_key(part) for part in path)}]"
    for key, value in values.items():
        if value is not None and not isinstance(value, Mapping):
            yield f"{_key(key)} = {_value(value)}"
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _table(value, (*path, key))


def _key(key: str) -> str:
    """A bare key where TOML allows one, else a quoted one."""
    bare = key.replace("_", "").replace("-", "")
    return key if bare.isascii() and bare.isalnum() else _value(key)


def _value(value: Any) -> str:
    """One TOML value; JSON strings are TOML strings except for the DEL character."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        pairs = (f"{_key(key)} = {_value(inner)}" for key, inner in value.items())
        return "{" + ", ".join(pairs) + "}"
    return "[" + ", ".join(_value(inner) for inner in value) + "]"
