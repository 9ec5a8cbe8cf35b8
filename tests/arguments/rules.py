"""Which values of the pool an argument must refuse, from its annotation."""

import collections.abc
import inspect
import types
import typing
from typing import Any

import numpy as np
from case import Case

_SIMPLE = {int: "int", float: "real", bool: "bool", str: "text", type(None): "none"}
_MANY = {int: "ints", float: "reals int_sequence", bool: "bools", str: "texts"}


def arguments(case: Case) -> list[str]:
    """Names of the arguments that are tried in turn."""
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    found = [n for n, p in inspect.signature(case.call).parameters.items() if p.kind not in kinds]
    return list(dict.fromkeys([*found, *case.base]))


def allowed(case: Case, argument: str) -> set[str] | None:
    """Tags of values that may be right; `None` where all values may."""
    if case.holds:
        return None
    said = case.accepts.get(argument)
    if said is not None:
        return None if said == "any" else set(said.split())
    parameter = inspect.signature(case.call).parameters.get(argument)
    if parameter is None or isinstance(parameter.annotation, str):
        hint = _hints(case).get(argument)
    else:
        hint = parameter.annotation
    if hint is None or hint is inspect.Parameter.empty or hint is Any:
        return set()
    return _tags(hint)


def _hints(case: Case) -> dict[str, Any]:
    from orderparam.experts import Recipe

    found = typing.get_type_hints(Recipe)
    target = case.call.__init__ if isinstance(case.call, type) else case.call
    try:
        return {**found, **typing.get_type_hints(target)}
    except NameError:
        return found


def _tags(hint: Any) -> set[str]:
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if hint in _SIMPLE:
        return {_SIMPLE[hint]}
    if origin in (typing.Union, types.UnionType):
        return set().union(*map(_tags, inside))
    if origin is collections.abc.Sequence or origin in (tuple, list):
        return set(_MANY.get(inside[0], "").split()) | ({"ints"} if inside[0] is float else set())
    if origin is collections.abc.Callable or hint is collections.abc.Callable:
        return {"function"}
    if hint is np.ndarray:
        return {"table"}
    if origin is not None:
        return _tags(origin)
    names = {c.__name__ for c in getattr(hint, "__mro__", ()) if c is not object}
    return {"path"} if "PathLike" in names else {getattr(hint, "__name__", "")}


def must_refuse(tags: frozenset[str], right: set[str] | None) -> bool:
    """Whether a value of these tags must not be accepted."""
    return right is not None and "unsure" not in tags and not tags & right


def default(case: Case, argument: str) -> Any:
    """What an argument is where it is not given."""
    parameter = inspect.signature(case.call).parameters.get(argument)
    return None if parameter is None else parameter.default
