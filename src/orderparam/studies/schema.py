"""What a study file may contain, and where a mistake in it stands."""

import difflib
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from orderparam.errors import InvalidProblem
from orderparam.studies.toml_text import Path, flatten, normal


class _Section(BaseModel):
    """A table of a study file: unknown keys are refused, values are not converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ProblemSection(_Section):
    """`[problem]`: `family` and `kind`, then the arguments of that class of problem."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    family: str
    kind: str


class TheorySection(_Section):
    """`[theory]`: the method's name (the problem's default without one), then its settings.

    A table that has the name of a method, such as `[theory.causal]`, holds settings of that
    method alone, for studies that vary the method.
    """

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    method: str | None = None


class ExperimentSection(_Section):
    """`[experiment]`: the finite systems; one of the sizes, as the family names it.

    `options` holds further arguments of the family's experiment.
    """

    width: list[int] | None = Field(default=None, min_length=1)
    dimension: list[int] | None = Field(default=None, min_length=1)
    size: list[int] | None = Field(default=None, min_length=1)
    seeds: int | list[int] = 4
    precision: Literal["float32", "float64"] = "float32"
    options: dict[str, Any] = {}

    def arguments(self) -> dict[str, Any]:
        """The arguments of `simulate`: sizes that were given, seeds, precision and options."""
        return self.model_dump(exclude_none=True, exclude={"options"}) | self.options

    def sizes(self) -> str:
        """The sizes in words."""
        given = {name: getattr(self, name) for name in ("width", "dimension", "size")}
        said = ", ".join(f"{name} {values}" for name, values in given.items() if values)
        return said or "the problem's own size"


class SaveSection(_Section):
    """`[save]`: what is kept; steps are numbers, `"first"` or `"last"`."""

    steps: int | list[int | Literal["first", "last"]] | None = None
    two_time: bool = False
    fields_at: list[int | Literal["first", "last"]] = []
    times: list[float] | None = None
    spacing: Literal["linear", "log"] = "linear"


class Study(_Section):
    """A study: a claim, the problems that test it, how they are solved, measured and shown."""

    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    title: str
    claim: str = ""
    time_needed: str = ""
    seed: int = Field(default=0, ge=0)
    problem: ProblemSection
    vary: dict[str, list[Any]] = {}
    theory: TheorySection = TheorySection()
    experiment: ExperimentSection | None = None
    save: SaveSection = SaveSection()
    figures: list[str] = []
    claims: list[str] = []
    agreement: Literal["counts", "shown"] = "counts"
    quick: dict[str, Any] = {}

    @field_validator("vary", mode="before")
    @classmethod
    def _dotted(cls, value: Any) -> Any:
        """Accept `problem.gamma0 = [...]` and `"problem.gamma0" = [...]` alike."""
        if not isinstance(value, Mapping):
            return value
        return {".".join(path): choices for path, choices in flatten(value)}

    def cases(self) -> list[dict[str, Any]]:
        """All combinations of the varied values, first path slowest; one empty case for none."""
        names = list(self.vary)
        return [
            dict(zip(names, row, strict=True)) for row in itertools.product(*self.vary.values())
        ]


@dataclass(frozen=True)
class Source:
    """Where the values of a study came from, for messages."""

    name: str
    lines: Mapping[Path, int] = field(default_factory=dict)
    overrides: Mapping[Path, str] = field(default_factory=dict)

    def where(self, path: Path) -> str:
        """Say "line 4 of x.toml" or "given by --set", for a key or the table that encloses it."""
        path = normal(path)
        for length in range(len(path), 0, -1):
            if path[:length] in self.overrides:
                return self.overrides[path[:length]]
            if path[:length] in self.lines:
                return f"line {self.lines[path[:length]]} of {self.name}"
        return f"in {self.name}"

    def unknown(self, path: Path, known: Iterable[str]) -> InvalidProblem:
        """The error for a key or a name that does not exist, with the nearest that does."""
        names = sorted(known)
        close = difflib.get_close_matches(path[-1], names, n=1, cutoff=0.5)
        hint = f"did you mean `{close[0]}`?" if close else "remove it."
        table = f"`{'.'.join(path[:-1])}`" if path[:-1] else "a study"
        return InvalidProblem(
            f"Unknown key `{'.'.join(path)}` ({self.where(path)}): {hint} "
            f"Known keys of {table}: {', '.join(names)}."
        )

    def unknown_name(self, path: Path, name: str, known: Iterable[str]) -> InvalidProblem:
        """The error for a value that has to be one of several names, with the nearest of them."""
        names = sorted(known)
        close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f"did you mean `{close[0]}`?" if close else "there is no such name."
        return self.invalid(path, f"is {name!r}: {hint} Known names: {', '.join(names)}.")

    def invalid(self, path: Path, reason: str) -> InvalidProblem:
        """The error for a known key with a wrong value."""
        return InvalidProblem(f"Key `{'.'.join(path)}` ({self.where(path)}) {reason}")


def validate(values: Mapping[str, Any], source: Source) -> Study:
    """Check a study's tables against the schema.

    Args:
        values: The tables as read from TOML.
        source: Where they came from.

    Returns:
        The checked study.

    Raises:
        InvalidProblem: At the first mistake, with key, place and nearest known name.
    """
    try:
        study = Study.model_validate(values)
    except ValidationError as error:
        # An unknown key explains a missing one (a typing error), so it is reported first.
        first = min(error.errors(), key=lambda item: item["type"] != "extra_forbidden")
        raise _explained(first, source) from None
    for name, choices in study.vary.items():
        if not choices:
            raise source.invalid(("vary", name), "has no values; list at least one.")
    return study


def _explained(error: Any, source: Source) -> InvalidProblem:
    """One sentence for one finding of pydantic."""
    tables = {name: info.annotation for name, info in Study.model_fields.items()}
    path = tuple(part for part in error["loc"] if isinstance(part, str))
    # Members of a union ("int", "list[int]") appear in the location, but are no keys of the file.
    depth = 2 if path[0] in ("problem", "theory", "experiment", "save", "vary") else 1
    path = path[:depth]
    if error["type"] == "extra_forbidden":
        section = {"experiment": ExperimentSection, "save": SaveSection}.get(path[0], Study)
        return source.unknown(path, section.model_fields if len(path) > 1 else tables)
    if error["type"] == "missing":
        return InvalidProblem(
            f"Key `{'.'.join(path)}` is missing ({source.where(path[:-1] or path)}); add it."
        )
    return source.invalid(path, f"is {error['input']!r}: {error['msg']}.")
