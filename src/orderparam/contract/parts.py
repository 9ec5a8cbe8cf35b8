"""What every family provides: problems, methods, and the verbs' side of each."""

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import equinox as eqx

from orderparam.contract.save_plan import SavePlan
from orderparam.errors import Diverged, NotConverged, UnsupportedCombination
from orderparam.plots import FigureKind
from orderparam.results import Finding, Pair, Solution, Source, Verdict
from orderparam.support.arguments import function, instance, refuse, sequence, text
from orderparam.support.keywords import KnownKeywords
from orderparam.support.later import Figure
from orderparam.support.memory import require_memory
from orderparam.support.plain_methods import PlainMethods
from orderparam.support.settings import library_settings

Claim = Callable[[Sequence[Pair]], list[Finding]]
"""Checks one claim of a paper on all cases of a study."""


@dataclass(frozen=True)
class Estimate:
    """Predicted cost of a solve, a guess for one core of a usual machine.

    Args:
        memory: Bytes.
        seconds: Time of the run after compilation.
        compilation: Seconds of compilation, which the first solve of a kind in a process needs:
            measured on one core for each method, within a factor of two or three elsewhere.
    """

    memory: int
    seconds: float
    compilation: float = 0.0

    def __str__(self) -> str:
        """One line for people."""
        times = f"{self.seconds:.1f} s"
        if self.compilation:
            times += f", and {self.compilation:.0f} s of compilation the first time"
        return f"about {self.memory / 2**20:.0f} MiB and {times}"


class Method(KnownKeywords, PlainMethods, eqx.Module):
    """How a problem is solved, with its numerical settings; an immutable value.

    A subclass names its `family`, that of the problems it solves, and carries a `name` for files
    and study tables. It may live anywhere, in a script too.
    """

    family: ClassVar[str]
    name: ClassVar[str]

    @abc.abstractmethod
    def solve(self, problem: Any, save: SavePlan, seed: int, progress: bool) -> Solution:
        """Solve `problem`; the returned verdict says how far to trust the result."""

    @abc.abstractmethod
    def estimate(self, problem: Any, save: SavePlan) -> Estimate:
        """Predict memory, time and compilation before any work starts."""

    @abc.abstractmethod
    def config(self) -> Mapping[str, Any]:
        """The settings as plain JSON values, `name` included."""

    def run(
        self,
        problem: "Problem",
        *,
        save: SavePlan | None = None,
        seed: int = 0,
        progress: bool = False,
        throw: bool = True,
    ) -> Solution:
        """Solve in float64, after a look at the memory, and raise what did not converge.

        What `orderparam.solve` calls once its arguments are checked; arguments and exceptions are
        the same. For parts of a family that need solutions themselves.
        """
        plan = SavePlan() if save is None else save
        with library_settings():
            require_memory(
                self.estimate(problem, plan).memory,
                f"The problem and the method {self.name}",
                "save fewer steps, leave out two_time, or lower the size of the method",
            )
            solution = self.solve(problem, plan, seed, progress)
        if throw and not solution.verdict.ok:
            broken = solution.verdict in (Verdict.DIVERGED, Verdict.NON_FINITE)
            raise (Diverged if broken else NotConverged)(
                f"{solution.message} {solution.verdict.remedy} "
                "Call with throw=False for the result."
            )
        return solution


class Problem(KnownKeywords, PlainMethods, eqx.Module):
    """An immutable description of what is learned; no results, no solver settings.

    Which method solves it by default, and what is trained beside it, its family knows.
    """

    family: ClassVar[str]

    @abc.abstractmethod
    def config(self) -> Mapping[str, Any]:
        """The problem as plain JSON values; data enter by fingerprint."""

    def require_packages(self) -> None:
        """Refuse at once where `simulate` needs a package that is not installed.

        Raises:
            MissingExtra: If one is missing; the message names the extra.
        """


Experiment = Callable[..., Solution]
"""Trains the finite system: `(problem, size, seeds, save, seed, *, precision, progress, ...)`."""


@dataclass(frozen=True)
class Kind:
    """What a family knows of one type of problem.

    Args:
        problem: The type; subclasses are served alike unless they have an entry of their own.
        default_method: Chooses the method where the caller names none.
        experiment: Trains the finite system.
        size: The argument of `simulate` that says how large it is: `width`, `dimension`, `size`.
        system: What is trained, for messages: "networks have one size, `width`".
        options: Further arguments of `simulate`.
    """

    problem: type[Problem]
    default_method: Callable[[Any], Method]
    experiment: Experiment
    size: str
    system: str
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse values that are not allowed."""
        if not (isinstance(self.problem, type) and issubclass(self.problem, Problem)):
            raise refuse("problem", self.problem, "a type of problems", "derive it from Problem")
        function("default_method", self.default_method, "a problem")
        function("experiment", self.experiment, "a problem, sizes and seeds")
        for name in ("size", "system"):
            object.__setattr__(self, name, text(name, getattr(self, name)))


@dataclass(frozen=True)
class Family:
    """What the verbs, studies and checks need of a family; its file `family.py` holds one.

    Args:
        name: As in `problem.family` and `method.family`.
        public: Module whose `__all__` names what users build problems and methods from.
        kinds: One for each type of problem.
        parts: Modules of other families whose public classes its problems hold, for study files.
        figures: Figures that a study can ask for, by name.
        symbols: Symbols of what a study can vary, by the path of the key.
        claims: Claims that a study can check, by name.
        citations: The works that results cite, by key.
        overview: Draws one result on a page, for `Solution.plot`; `None` for plain curves.
        renamed: Old spellings of values of the problem, by field, with the new ones. Files written
            before version 0.2 are read with them.
    """

    name: str
    public: str
    kinds: tuple[Kind, ...]
    parts: tuple[str, ...] = ()
    figures: Mapping[str, FigureKind] = field(default_factory=dict)
    symbols: Mapping[str, str] = field(default_factory=dict)
    claims: Mapping[str, Claim] = field(default_factory=dict)
    citations: Mapping[str, Source] = field(default_factory=dict)
    overview: Callable[[Solution], Figure] | None = None
    renamed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse values that are not allowed."""
        for name in ("name", "public"):
            object.__setattr__(self, name, text(name, getattr(self, name)))
        for kind in sequence("kinds", self.kinds, "kinds of problems"):
            instance("kinds", kind, Kind, "build each with orderparam.contract.Kind")
        modules = sequence("parts", self.parts, "names of modules", least=0)
        object.__setattr__(self, "parts", tuple(text("parts", module) for module in modules))
        if self.overview is not None:
            function("overview", self.overview, "a solution")

    def kind_of(self, problem: Problem) -> Kind:
        """The entry of the nearest class in the problem's ancestry."""
        for ancestor in type(problem).__mro__:
            for kind in self.kinds:
                if kind.problem is ancestor:
                    return kind
        known = ", ".join(kind.problem.__name__ for kind in self.kinds)
        raise UnsupportedCombination(
            f"The family {self.name} does not know problems of the type "
            f"{type(problem).__name__}; derive it from one of {known}, or register its kind."
        )
