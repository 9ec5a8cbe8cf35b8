"""Refusing work that cannot fit in memory, before it starts."""

import os

from orderparam.errors import CapacityExceeded


def require_memory(needed: int, what: str, advice: str) -> None:
    """Refuse what needs more bytes than the machine has, where the system says how many.

    Args:
        needed: Bytes.
        what: What needs them, as the beginning of a sentence.
        advice: What to do instead.

    Raises:
        CapacityExceeded: If they are not there.
    """
    names = getattr(os, "sysconf_names", {})
    if "SC_PHYS_PAGES" not in names:
        return
    available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > available:
        raise CapacityExceeded(
            f"{what} need {needed / 2**30:.1f} GiB, but the machine has "
            f"{available / 2**30:.1f} GiB; {advice}."
        )


def require_numbers(name: str, count: int, size: int = 8) -> None:
    """Refuse an argument that asks for more numbers than memory holds.

    Args:
        name: The argument.
        count: Numbers in the largest arrays.
        size: Bytes of one number.

    Raises:
        CapacityExceeded: If they do not fit.
    """
    require_memory(
        count * size, f"The arrays that argument `{name}` asks for", "choose a smaller one"
    )
