"""What a run keeps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from orderparam.errors import InvalidProblem
from orderparam.support.arguments import (
    at_least_zero,
    integer,
    one_of,
    optional,
    reals,
    sequence,
    several,
    truth,
)
from orderparam.support.keywords import KnownKeywords
from orderparam.support.memory import require_numbers


@dataclass(frozen=True)
class SavePlan(KnownKeywords):
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

    def __post_init__(self) -> None:
        """Refuse values that are not allowed, and keep plain ones."""
        given = {
            "steps": optional(_steps, "steps", self.steps),
            "two_time": truth("two_time", self.two_time),
            "fields_at": _named("fields_at", self.fields_at, least=0),
            "times": optional(_times, "times", self.times),
            "spacing": one_of("spacing", self.spacing, ("linear", "log")),
        }
        for name, value in given.items():
            object.__setattr__(self, name, value)

    def times_until(self, duration: float) -> Float[np.ndarray, " time"]:
        """Ascending times to save in a run from 0 to `duration`, 201 of them by default."""
        if self.times is not None:
            chosen = np.unique(np.asarray(self.times, dtype=np.float64))
            if chosen[-1] > duration:
                raise InvalidProblem(
                    f"SavePlan asks for the times {_few(chosen)}, but the run goes from 0 to "
                    f"{duration:g}; choose `times` in that range."
                )
            return chosen
        wanted = 201 if self.steps is None else self.steps
        if not isinstance(wanted, int) or wanted < 2:
            raise InvalidProblem(
                f"SavePlan has `steps` = {self.steps!r}, but a problem in continuous time needs a "
                "number of steps of at least 2, or `times`; give one of them."
            )
        require_numbers("steps", wanted)
        if self.spacing == "linear":
            return np.linspace(0.0, duration, wanted)
        return np.concatenate([[0.0], np.geomspace(1e-4 * duration, duration, wanted - 1)])

    def grid(self, total: int) -> Int[np.ndarray, " time"]:
        """Sorted steps to save in a run of `total` steps (0 ... total - 1), fields included."""
        if self.steps is None or isinstance(self.steps, int):
            wanted = 201 if self.steps is None else self.steps
            chosen = np.rint(np.linspace(0, total - 1, min(wanted, total))).astype(int)
        else:
            chosen = np.asarray(self.steps, dtype=int)
        grid = np.unique(np.concatenate([chosen, np.asarray(self.fields_at, dtype=int)]))
        if grid[-1] >= total:
            raise InvalidProblem(
                f"SavePlan asks for the steps {_few(grid)}, but the run has the steps 0 to "
                f"{total - 1}; choose `steps` and `fields_at` in that range."
            )
        return grid


def _steps(name: str, value: Any) -> int | tuple[int, ...]:
    """A number of steps, or the steps themselves."""
    return integer(name, value) if several(value) is None else _named(name, value)


def _named(name: str, value: Any, least: int = 1) -> tuple[int, ...]:
    """Steps by their numbers, from 0 on."""
    return tuple(integer(name, entry, 0) for entry in sequence(name, value, "steps", least))


def _times(name: str, value: Any) -> tuple[float, ...]:
    """Times from 0 on."""
    return tuple(reals(name, value, at_least_zero))


def _few(values: np.ndarray) -> str:
    """The first and last of many."""
    return (
        ", ".join(f"{v:g}" for v in values)
        if len(values) < 7
        else f"{values[0]:g} ... {values[-1]:g}"
    )
