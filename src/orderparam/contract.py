"""What every family provides: problems, methods and save plans, and the verbs' side of each."""

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int

from orderparam.errors import InvalidProblem
from orderparam.results import Solution


@dataclass(frozen=True)
class SavePlan:
    """What a run keeps.

    Args:
        steps: Steps at which equal-time quantities are saved. An integer asks for that many
            evenly spaced steps (first and last included), a sequence names them, `None` (default)
            keeps every step up to 201 of them.
        two_time: Also keep the kernels between every pair of saved steps (memory grows with the
            square of their number).
        fields_at: Steps at which single-site samples of the fields are kept.
        times: For problems in continuous time, in place of `steps`: the times to save.
        spacing: For problems in continuous time: how a number of `steps` is spread, `"linear"` or
            `"log"` (time 0, then constant ratios over four decades).

    Raises:
        InvalidProblem: If a step is negative or not an integer.
    """

    steps: int | Sequence[int] | None = None
    two_time: bool = False
    fields_at: Sequence[int] = ()
    times: Sequence[float] | None = None
    spacing: str = "linear"

    def times_until(self, duration: float) -> Float[np.ndarray, " time"]:
        """Ascending times to save in a run from 0 to `duration`, 201 of them by default."""
        if self.times is not None:
            chosen = np.unique(np.asarray(self.times, dtype=np.float64))
            if chosen.size == 0 or not (chosen[0] >= 0 and chosen[-1] <= duration):
                raise InvalidProblem(
                    f"SavePlan asks for the times {list(chosen[:3])}...{list(chosen[-3:])}, but "
                    f"the run goes from 0 to {duration:g}; choose times in that range."
                )
            return chosen
        wanted = 201 if self.steps is None else self.steps
        if not isinstance(wanted, int) or wanted < 2 or self.spacing not in ("linear", "log"):
            raise InvalidProblem(
                f"SavePlan has steps = {self.steps!r} and spacing = {self.spacing!r}, but a "
                "problem in continuous time needs a number of steps of at least 2 with the spacing "
                "'linear' or 'log', or `times`."
            )
        if self.spacing == "linear":
            return np.linspace(0.0, duration, wanted)
        return np.concatenate([[0.0], np.geomspace(1e-4 * duration, duration, wanted - 1)])

    def grid(self, total: int) -> Int[np.ndarray, " time"]:
        """Sorted steps to save in a run of `total` steps (0 ... total - 1), fields included."""
        if self.steps is None or isinstance(self.steps, int):
            wanted = 201 if self.steps is None else self.steps
            if wanted < 1:
                raise InvalidProblem(
                    f"Argument `steps` of SavePlan must ask for at least 1 step, but is {wanted}."
                )
            chosen = np.rint(np.linspace(0, total - 1, min(wanted, total))).astype(int)
        else:
            chosen = np.asarray(self.steps, dtype=int)
        grid = np.unique(np.concatenate([chosen, np.asarray(self.fields_at, dtype=int)]))
        if grid.size == 0 or grid[0] < 0 or grid[-1] >= total:
            raise InvalidProblem(
                f"SavePlan asks for steps {list(grid[:3])}...{list(grid[-3:])}, but the run has "
                f"the steps 0 to {total - 1}; choose steps in that range."
            )
        return grid


@dataclass(frozen=True)
class Estimate:
    """Predicted cost of a solve: `memory` in bytes, `seconds` of run time after compilation."""

    memory: int
    seconds: float

    def __str__(self) -> str:
        """One line for people."""
        return f"about {self.memory / 2**20:.0f} MiB and {self.seconds:.1f} s"


class Method(eqx.Module):
    """How a problem is solved, with its numerical settings; an immutable value."""

    name: ClassVar[str]

    @abc.abstractmethod
    def solve(self, problem: Any, save: SavePlan, seed: int, progress: bool) -> Solution:
        """Solve `problem`; the returned verdict says how far to trust the result."""

    @abc.abstractmethod
    def estimate(self, problem: Any, save: SavePlan) -> Estimate:
        """Predict memory and time before any work starts."""

    @abc.abstractmethod
    def config(self) -> Mapping[str, Any]:
        """The settings as plain JSON values, `name` included."""


class Problem(eqx.Module):
    """An immutable description of what is learned; no results, no solver settings."""

    family: ClassVar[str]

    @abc.abstractmethod
    def default_method(self) -> Method:
        """The method used when the caller names none."""

    @abc.abstractmethod
    def config(self) -> Mapping[str, Any]:
        """The problem as plain JSON values; data enter by fingerprint."""

    def require_packages(self) -> None:
        """Refuse at once where `simulate` needs a package that is not installed.

        Raises:
            MissingExtra: If one is missing; the message names the extra.
        """

    @abc.abstractmethod
    def simulate(
        self, sizes: Mapping[str, Any], seeds: Any, save: SavePlan, seed: int, **options: Any
    ) -> Solution:
        """Train the finite system at the given sizes and measure the theory's variables."""
