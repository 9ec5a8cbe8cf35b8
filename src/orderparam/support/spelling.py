"""Which known word was meant; in a file of its own, for the command line has no time for NumPy."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


def nearest(found: Any, words: Iterable[str]) -> str:
    """The end of a message: which of the known words was probably meant; empty if none is near."""
    known = list(words)
    near = get_close_matches(found, known, n=1) if isinstance(found, str) else []
    if isinstance(found, str) and found and not near:
        near = [word for word in known if word.startswith(found)]
    return f" Did you mean {near[0]!r}?" if near else ""
