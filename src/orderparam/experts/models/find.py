"""Builders of models by name."""

import importlib
import sys
from pathlib import Path

from orderparam.errors import InvalidProblem
from orderparam.experts.models.setup import Builder
from orderparam.support.arguments import function as called
from orderparam.support.arguments import one_line
from orderparam.support.extras import needed

BUILT_IN = ("mlp-mixture", "transformer-mixture")


def find_builder(name: str) -> Builder:
    """A builder by name: a built-in reference model, or `module:function`.

    Args:
        name: `mlp-mixture`, `transformer-mixture`, or an import path; modules in the current folder
            are found.

    Raises:
        InvalidProblem: If there is none.
    """
    needed("torch", "torch")
    if name in BUILT_IN:
        from orderparam.experts.models import builders  # needs PyTorch

        return builders.mlp_mixture if name == BUILT_IN[0] else builders.transformer_mixture
    module, colon, function = name.partition(":")
    if not (colon and module and function):
        raise InvalidProblem(
            f"The model {name!r} is neither {' nor '.join(BUILT_IN)} nor an import path; write "
            "module:function for a function build(size, seed, parameterization) -> Setup."
        )
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = getattr(importlib.import_module(module), function)
    except Exception as error:  # the module's own code
        raise InvalidProblem(
            f"The builder {name!r} cannot be imported ({type(error).__name__}: {one_line(error)}); "
            "check its module and function."
        ) from error
    return called("model", found, "size, seed and parameterization")
