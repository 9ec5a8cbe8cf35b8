"""Order parameters of large learning systems: theory beside trained networks, on the same axes."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from orderparam.families import FAMILIES

if TYPE_CHECKING:
    from orderparam import data, experts, fluctuations, kernels, mixtures, online
    from orderparam.comparison import compare
    from orderparam.conformance import check_theory
    from orderparam.contract import SavePlan
    from orderparam.support.compiled import keep_compiled
    from orderparam.verbs import citation, estimate, load, simulate, solve

__all__ = [
    "SavePlan",
    "check_theory",
    "citation",
    "compare",
    "data",
    "estimate",
    "experts",
    "fluctuations",
    "keep_compiled",
    "kernels",
    "load",
    "mixtures",
    "online",
    "simulate",
    "solve",
]
__version__ = "0.5.0"

_HOMES = {
    "SavePlan": "contract",
    "check_theory": "conformance",
    "citation": "verbs",
    "compare": "comparison",
    "estimate": "verbs",
    "keep_compiled": "support.compiled",
    "load": "verbs",
    "simulate": "verbs",
    "solve": "verbs",
}


def __getattr__(name: str) -> Any:
    """Import on first use, so that the command line answers at once where nothing computes."""
    if name in __all__:
        import_module("orderparam.support.quiet_imports")
    if name == "data" or name in FAMILIES:
        return import_module(f"orderparam.{name}")
    if name in _HOMES:
        value = getattr(import_module(f"orderparam.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'orderparam' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
