"""The families that a study file can name, and how its tables become problems and methods.

A family registers with one line in `FAMILIES`: its name and its module. The rest follows from
the module itself: `kind` in a table names a public class or function there (or a data set in
`orderparam.data`), and the other keys of the table are the arguments of that call.
"""

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from orderparam.contract import Method, Problem, SavePlan
from orderparam.errors import InvalidProblem
from orderparam.plots import Pair
from orderparam.results import Finding
from orderparam.studies.schema import SaveSection, Source, Study
from orderparam.studies.toml_text import Path

Claim = Callable[[Sequence[Pair]], list[Finding]]

FAMILIES: dict[str, str] = {
    "experts": "orderparam.experts",
    "kernels": "orderparam.kernels",
    "mixtures": "orderparam.mixtures",
    "online": "orderparam.online",
}


@dataclass(frozen=True)
class Built:
    """One case of a study, ready to be solved and trained."""

    problem: Problem
    method: Method
    save: SavePlan


@dataclass(frozen=True)
class Family:
    """What a study needs from a family.

    Args:
        module: Public module of the family; its classes are what `kind` may name.
        source: Where the study's values came from, for messages.
    """

    module: ModuleType
    source: Source

    def build(self, study: Study) -> Built:
        """Problem, method and save plan of one case.

        Args:
            study: A study whose varied values are already set.

        Raises:
            InvalidProblem: For an unknown name or key, with the nearest known one.
        """
        table = study.problem.model_dump(exclude={"family"})
        problem = self._made(table, ("problem",), self._public(lambda made: _is(made, Problem)))
        return Built(problem, self._method(study, problem), save_plan(study.save, problem))

    def figures(self) -> ModuleType:
        """The family's figures: `FIGURES` by name, and `SYMBOLS` of what can be varied."""
        return importlib.import_module(f"{self.module.__name__}.figures")

    def claims(self) -> Mapping[str, Claim]:
        """The family's checkable claims by name; empty for a family without the room `claims`."""
        name = f"{self.module.__name__}.claims"
        return importlib.import_module(name).CLAIMS if importlib.util.find_spec(name) else {}

    def check_names(self, study: Study) -> None:
        """Refuse names of figures that the family does not draw, and of claims it cannot check."""
        rooms = {"figures": (study.figures, self.figures().FIGURES)}
        rooms["claims"] = (study.claims, self.claims())
        for key, (names, known) in rooms.items():
            for name in names:
                if name not in known:
                    raise self.source.unknown_name((key,), name, known)

    def _method(self, study: Study, problem: Problem) -> Method:
        """The method of `[theory]`, by the name that the class carries, with its settings."""
        known: dict[str, Any] = {
            candidate.name: candidate
            for candidate in vars(self.module).values()
            if _is(candidate, Method) and candidate is not Method
        }
        name = study.theory.method or problem.default_method().name
        if name not in known:
            raise self.source.unknown_name(("theory", "method"), name, known)
        settings = study.theory.model_dump(exclude={"method"})
        shared = {key: value for key, value in settings.items() if key not in known}
        own = settings.get(name, {})
        parameters = inspect.signature(known[name]).parameters
        for key in own:
            if key not in parameters:
                raise self.source.unknown(("theory", name, key), parameters)
        return self._call(known[name], {**shared, **own}, ("theory",))

    def _made(self, table: Mapping[str, Any], path: Path, known: Mapping[str, Any]) -> Any:
        """The object that a table with a `kind`, one of the known names, describes."""
        if "kind" not in table:
            raise self.source.invalid(
                path, 'needs a key `kind` that says what it is, such as kind = "MLP".'
            )
        kind = table["kind"]
        if kind not in known:
            raise self.source.unknown_name((*path, "kind"), str(kind), known)
        rest = {key: value for key, value in table.items() if key != "kind"}
        return self._call(known[kind], rest, path)

    def _call(self, make: Callable[..., Any], table: Mapping[str, Any], path: Path) -> Any:
        """Call a constructor with a table's values, after checking the names of the keys."""
        parameters = inspect.signature(make).parameters
        for key in table:
            if key not in parameters:
                raise self.source.unknown((*path, key), parameters)
        for name, parameter in parameters.items():
            if parameter.default is inspect.Parameter.empty and name not in table:
                raise self.source.invalid(path, f"lacks the key `{name}`; add it.")
        parts = self._public(lambda made: not _is(made, Problem) and not _is(made, Method))
        values = {
            key: self._made(value, (*path, key), parts)
            if isinstance(value, Mapping)
            else _frozen(value)
            for key, value in table.items()
        }
        return make(**values)

    def _public(self, wanted: Callable[[Any], bool]) -> dict[str, Callable[..., Any]]:
        """The wanted ones of the public classes and functions of the family and of the data."""
        data = importlib.import_module("orderparam.data")
        return {
            name: getattr(module, name)
            for module in (data, self.module)
            for name in module.__all__
            if callable(getattr(module, name)) and wanted(getattr(module, name))
        }


def family(study: Study, source: Source) -> Family:
    """The registered family that a study names.

    Raises:
        InvalidProblem: If there is none of that name.
    """
    name = study.problem.family
    if name not in FAMILIES:
        raise source.unknown_name(("problem", "family"), name, FAMILIES)
    return Family(importlib.import_module(FAMILIES[name]), source)


def save_plan(section: SaveSection, problem: Any) -> SavePlan:
    """The save plan, with `"first"` and `"last"` replaced by the problem's own steps."""
    if hasattr(problem, "duration"):  # continuous time
        count = section.steps
        if isinstance(count, list):
            raise InvalidProblem(
                "Key `save.steps` names single steps, but the problem's time is continuous; give a "
                "number of them, or `save.times`."
            )
        plan = SavePlan(steps=count, times=section.times, spacing=section.spacing)
        plan.times_until(problem.duration)
        return plan
    if not hasattr(problem, "steps"):  # nothing to save in time
        return SavePlan()
    named = {"first": 0, "last": problem.steps - 1}
    steps = section.steps
    if isinstance(steps, list):
        steps = tuple(named[step] if isinstance(step, str) else step for step in steps)
    fields_at = tuple(named[step] if isinstance(step, str) else step for step in section.fields_at)
    plan = SavePlan(steps=steps, two_time=section.two_time, fields_at=fields_at)
    plan.grid(problem.steps)  # refuses steps that the run does not have, before any work
    return plan


def _is(candidate: Any, base: type) -> bool:
    """Whether something is a class that derives from `base`."""
    return inspect.isclass(candidate) and issubclass(candidate, base)


def _frozen(value: Any) -> Any:
    """Lists as tuples, since problems are immutable values."""
    return tuple(_frozen(inner) for inner in value) if isinstance(value, list) else value
