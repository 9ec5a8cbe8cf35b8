"""JSON that somebody else may have written."""

import json
from pathlib import Path
from typing import Any

from orderparam.errors import CorruptFile

DEEPEST = 64
"""Levels of lists and mappings in a description; far from the depth at which Python gives up."""


def parsed(text: str | bytes, where: str, kind: type = dict) -> Any:
    """Read JSON that somebody else may have written.

    Args:
        text: The JSON text, UTF-8 if it is bytes.
        where: What it is, for the message: "The file PATH".
        kind: The type that it must have.

    Returns:
        Its plain value, at most `DEEPEST` levels deep, with strings that can be printed.

    Raises:
        CorruptFile: If it is anything else.
    """
    try:
        found = json.loads(text)
        require_levels(found)
        json.dumps(found, ensure_ascii=False).encode("utf-8")
    # RecursionError is what Python says of lists within lists within lists.
    except (ValueError, RecursionError) as error:
        raise CorruptFile(
            f"{where} cannot be read as JSON ({str(error)[:100]}); restore it from a copy or make "
            "it anew."
        ) from None
    if not isinstance(found, kind):
        raise CorruptFile(
            f"{where} holds a {type(found).__name__}, but a {kind.__name__} is needed; restore it "
            "from a copy or make it anew."
        )
    return found


def read_json(path: Path, kind: type = dict) -> Any:
    """Read a file of JSON; errors as in `parsed`, and `OSError` where it cannot be opened."""
    return parsed(path.read_bytes(), f"The file {path}", kind)


def require_levels(value: Any) -> None:
    """Raise `ValueError` for values that are too deep; a function that calls itself would fail."""
    level = [value]
    for _ in range(DEEPEST + 1):
        inner = [list(v.values()) if isinstance(v, dict) else v for v in level]
        level = [part for v in inner if isinstance(v, list) for part in v]
        if not level:
            return
    raise ValueError(f"more than {DEEPEST} levels")
