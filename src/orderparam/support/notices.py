"""Warnings that point at the user's own line, however deep in the library they arise."""

import sys
import warnings

_OURS = frozenset({"orderparam", "equinox", "jaxtyping", "beartype", "functools", "contextlib"})
"""Packages whose frames stand between a user and a warning; equinox wraps methods."""


def notice(message: str | Warning, category: type[Warning] = UserWarning) -> None:
    """Warn at the nearest line that called the library from outside.

    A fixed `stacklevel` is wrong as soon as a method is wrapped or calls move.
    """
    frame, level = sys._getframe(1), 2
    while frame is not None and str(frame.f_globals.get("__name__")).split(".")[0] in _OURS:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
