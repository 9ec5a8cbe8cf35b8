"""A misspelt keyword of a constructor or function is answered by the nearest right one."""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ParamSpec, Self, TypeVar

from orderparam.errors import UnknownArgument
from orderparam.support.spelling import nearest

Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")


class KnownKeywords:
    """Mixed into classes that users build; looks at keywords before the constructor does."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Refuse keywords that the constructor does not take.

        Raises:
            UnknownArgument: If there is one; the message names the nearest that is known.
        """
        if kwargs:
            parameters = dict(inspect.signature(cls.__init__).parameters)
            parameters.pop("self", None)
            _require_known(cls.__name__, kwargs, parameters)
        del args
        return super().__new__(cls)


def known_keywords(function: Callable[Parameters, Returned]) -> Callable[Parameters, Returned]:
    """Let a public function refuse keywords that it does not take, as constructors do.

    Put above the definition of everything that is called with keywords: name, signature,
    documentation and types stay, and the function is pickled by its name as before.
    """
    parameters = inspect.signature(function).parameters

    @functools.wraps(function)
    def checked(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Returned:
        if kwargs:
            _require_known(f"{function.__name__}()", kwargs, parameters)
        return function(*args, **kwargs)

    return checked


def unknown(owner: str, name: str, known: Iterable[str]) -> UnknownArgument:
    """The error for an argument that there is not."""
    names = list(known)
    takes = f"Its arguments are {', '.join(names)}." if names else "It takes none."
    return UnknownArgument(f"{owner} has no argument `{name}`.{nearest(name, names)} {takes}")


def _require_known(
    owner: str, given: Iterable[str], parameters: Mapping[str, inspect.Parameter]
) -> None:
    """Refuse the first name that is no parameter, unless any name is taken."""
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    known = [
        name
        for name, p in parameters.items()
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
    for name in given:
        if name not in known:
            raise unknown(owner, name, known)
