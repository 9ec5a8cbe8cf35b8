"""How the tables of a study file become problems, methods and save plans.

`kind` in a table names a public class or function of the study's family (or a data set in
`orderparam.data`), and the other keys of the table are the arguments of that call.
"""

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from orderparam.contract import Family, Method, Problem, SavePlan
from orderparam.errors import InvalidProblem
from orderparam.families import family, kind_of, names
from orderparam.studies.schema import SaveSection, Source, Study
from orderparam.studies.toml_text import Path


@dataclass(frozen=True)
class Built:
    """One case of a study, ready to be solved and trained."""

    problem: Problem
    method: Method
    save: SavePlan


@dataclass(frozen=True)
class Builder:
    """Builds the cases of a study.

    Args:
        family: The study's family; the public classes of its module are what `kind` may name.
        source: Where the study's values came from, for messages.
    """

    family: Family
    source: Source

    @property
    def module(self) -> ModuleType:
        """The public module of the family."""
        return importlib.import_module(self.family.public)

    def build(self, study: Study) -> Built:
        """Problem, method and save plan of one case.

        Args:
            study: A study whose varied values are already set.

        Raises:
            InvalidProblem: For an unknown name or key, with the nearest known one.
        """
        table = study.problem.model_dump(exclude={"family"})
        problem = self._made(table, ("problem",), self._public(self._posed))
        return Built(problem, self._method(study, problem), save_plan(study.save, problem))

    def check_names(self, study: Study) -> None:
        """Refuse names of figures that the family does not draw, and of claims it cannot check."""
        rooms = {
            "figures": (study.figures, self.family.figures),
            "claims": (study.claims, self.family.claims),
        }
        for key, (wanted, known) in rooms.items():
            for name in wanted:
                if name not in known:
                    raise self.source.unknown_name((key,), name, known)

    def _method(self, study: Study, problem: Problem) -> Method:
        """The method of `[theory]`, by the name that the class carries, with its settings."""
        known: dict[str, Any] = {
            candidate.name: candidate
            for candidate in vars(self.module).values()
            if _is(candidate, Method) and candidate is not Method
        }
        name = study.theory.method or kind_of(problem).default_method(problem).name
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
        parts = self._public(lambda made: not self._posed(made) and not _is(made, Method))
        values = {
            key: self._made(value, (*path, key), parts)
            if isinstance(value, Mapping)
            else _frozen(value)
            for key, value in table.items()
        }
        return make(**values)

    def _posed(self, made: Any) -> bool:
        """Whether something is a type of problems of the family, not of one that it builds on."""
        return _is(made, Problem) and made.family == self.family.name

    def _public(self, wanted: Callable[[Any], bool]) -> dict[str, Callable[..., Any]]:
        """The wanted ones of the public classes and functions of family, its parts and the data."""
        others = map(importlib.import_module, ("orderparam.data", *self.family.parts))
        return {
            name: getattr(module, name)
            for module in (*others, self.module)
            for name in module.__all__
            if callable(getattr(module, name)) and wanted(getattr(module, name))
        }


def builder(study: Study, source: Source) -> Builder:
    """What builds the cases of a study.

    Raises:
        InvalidProblem: If there is no family of the name that the study gives.
    """
    name = study.problem.family
    if name not in names():
        raise source.unknown_name(("problem", "family"), name, names())
    return Builder(family(name), source)


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
        if section != type(section)():
            raise InvalidProblem(
                f"Table `save` names steps, but a {type(problem).__name__} has none; leave it out."
            )
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
