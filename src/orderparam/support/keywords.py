"""A misspelt keyword of a constructor is answered by the nearest right one."""

import inspect
from typing import Any, Self

from orderparam.errors import UnknownArgument
from orderparam.support.spelling import nearest


class KnownKeywords:
    """Mixed into classes that users build; looks at keywords before the constructor does."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Refuse keywords that the constructor does not take.

        Raises:
            UnknownArgument: If there is one; the message names the nearest that is known.
        """
        if kwargs:
            parameters = inspect.signature(cls.__init__).parameters
            known = [name for name in parameters if name != "self"]
            open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
            wrong = [] if open_ended else [name for name in kwargs if name not in known]
            if wrong:
                raise UnknownArgument(
                    f"{cls.__name__} has no argument `{wrong[0]}`.{nearest(wrong[0], known)} "
                    f"Its arguments are {', '.join(known)}."
                )
        del args
        return super().__new__(cls)
