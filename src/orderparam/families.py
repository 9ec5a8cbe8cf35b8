"""The registry of families: the one place that imports by name.

A family is a folder with the rooms of the others and one line in `FAMILIES`. One that lives outside
this package registers itself with `register(FAMILY)` when it is imported.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from orderparam.errors import InvalidProblem, UnsupportedCombination

if TYPE_CHECKING:  # the face of the library reads the names below, and has to stay quick
    from matplotlib.figure import Figure

    from orderparam.contract import Family, Kind, Problem
    from orderparam.results import Solution

FAMILIES: dict[str, str] = {
    "experts": "orderparam.experts.family",
    "fluctuations": "orderparam.fluctuations.family",
    "kernels": "orderparam.kernels.family",
    "mixtures": "orderparam.mixtures.family",
    "online": "orderparam.online.family",
}
"""Module of each family that comes with the library, imported on first use."""

_registered: dict[str, "Family"] = {}


def register(family: "Family") -> "Family":
    """Make a family known to the verbs and to study files.

    Args:
        family: Its kinds of problems, figures and claims.

    Returns:
        The same family.

    Raises:
        InvalidProblem: If another family has the name already.
    """
    # Whoever has a Family has imported the contract; the face of the library has not.
    if not isinstance(family, import_module("orderparam.contract").Family):
        raise InvalidProblem(
            f"Argument `family` must be a Family, but is a {type(family).__name__}; build one with "
            "orderparam.contract.Family."
        )
    known = _registered.get(family.name)
    if family.name in FAMILIES or (known is not None and known.public != family.public):
        raise InvalidProblem(f"There is a family {family.name!r} already; give yours another name.")
    _registered[family.name] = family
    return family


def names() -> tuple[str, ...]:
    """Names of all families, those that registered themselves included."""
    return tuple(sorted({*FAMILIES, *_registered}))


def family(name: str) -> "Family":
    """The family of that name.

    Raises:
        UnsupportedCombination: If there is none.
    """
    if name in FAMILIES:
        return import_module(FAMILIES[name]).FAMILY
    if name in _registered:
        return _registered[name]
    raise UnsupportedCombination(
        f"There is no family {name!r}; known are {', '.join(names())}. One of your own registers "
        "itself with orderparam.families.register."
    )


def known(name: str) -> "Family | None":
    """The family of that name, `None` if there is none, as for results of a family of old."""
    return family(name) if name in names() else None


def kind_of(problem: "Problem") -> "Kind":
    """What is known of a problem's type.

    Raises:
        UnsupportedCombination: If its family, or its type, is not known.
    """
    return family(problem.family).kind_of(problem)


def overview(solution: "Solution") -> "Figure":
    """The figure of a result, as its family draws it; plain curves where the family has none.

    Raises:
        UnsupportedCombination: If nothing in the result varies.
    """
    home = known(solution.family)
    if home is None or home.overview is None:
        return import_module("orderparam.plots").curves_figure(solution)
    return home.overview(solution)
