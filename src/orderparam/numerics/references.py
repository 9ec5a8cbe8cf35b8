"""Functions as other processes find them: by module and name, where they stand in a module.

`pickle` does this for plain functions. It fails for those that JAX has compiled, `jax.numpy.tanh`
among them.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from orderparam.support.values import attribute

Reference = tuple[str, str]
"""Module and name of a function."""


def reference(function: Callable[..., Any]) -> Reference | Callable[..., Any]:
    """Where a function is found; the function itself if it stands in no module."""
    module, name = attribute(function, "__module__"), attribute(function, "__qualname__")
    named = isinstance(module, str) and isinstance(name, str)
    if named and attribute(sys.modules.get(module), name) is function:
        return module, name
    return function


def resolved(found: Reference | Callable[..., Any]) -> Callable[..., Any]:
    """The function that a reference means."""
    return getattr(import_module(found[0]), found[1]) if isinstance(found, tuple) else found
