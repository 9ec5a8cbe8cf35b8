"""One callable of the library, with a call that works."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Case:
    """One callable.

    Args:
        name: Where it is, without the package.
        call: What is called.
        base: Arguments that work, by name.
        dear: Where a call that is accepted takes more than some milliseconds: `make test` tries
            one in so many values, `make validate` all.
        holds: Whether it only holds what the library computed, so that it need not refuse.
        said: What messages call an argument where that is not its own name.
        accepts: Tags of the pool that are right for an argument, where annotations do not say it.
    """

    name: str
    call: Callable[..., Any]
    base: Mapping[str, Any] = field(default_factory=dict)
    dear: int = 1
    holds: bool = False
    said: Mapping[str, str] = field(default_factory=dict)
    accepts: Mapping[str, str] = field(default_factory=dict)
