"""The coordinate check: train a ladder of sizes for some steps, and see which quantities grow.

In a scale-stable parameterization every activation, update and atomic term of the experts' sum
keeps its size along the ladder. The check fits how each of them grows and says which one does not.
"""

import csv
import io
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from orderparam.errors import InvalidProblem
from orderparam.experts.evidence.figures_checks import check_figures
from orderparam.experts.experiment.ladder import measure_ladder
from orderparam.experts.models.setup import Builder
from orderparam.experts.rules.plan import ScalingPlan
from orderparam.experts.theory.exponents import Exponent, judge_all
from orderparam.plots import export
from orderparam.results import Solution
from orderparam.results.files import atomic_write
from orderparam.support.keywords import known_keywords


@dataclass(frozen=True)
class CoordinateCheck:
    """The result of a coordinate check.

    Args:
        solution: Every observable with dimensions observable, time, size and seed.
        exponents: One line for each observable and step.
        plan: Plan of the largest model.
    """

    solution: Solution
    exponents: tuple[Exponent, ...]
    plan: ScalingPlan

    @property
    def passed(self) -> bool:
        """Whether no observable that is judged failed."""
        return not self.failures

    @property
    def failures(self) -> list[Exponent]:
        """What certainly did not keep its size, at one level of 5 % for all observables."""
        return [line for line in self.exponents if line.verdict == "fail"]

    def exponent(self, observable: str, step: int) -> Exponent:
        """The line of one observable at one step."""
        for line in self.exponents:
            if (line.observable, line.step) == (observable, step):
                return line
        known = sorted({line.observable for line in self.exponents})
        raise InvalidProblem(
            f"The check has no observable {observable!r} at step {step}; it has {', '.join(known)}."
        )

    def plain(self) -> dict[str, Any]:
        """The result as plain values; numbers that do not exist are `None`."""
        lines = [
            {key: None if value != value else value for key, value in asdict(line).items()}
            for line in self.exponents
        ]
        return {"passed": self.passed, "regime": self.plan.regime, "exponents": lines}

    def csv(self) -> str:
        """The exponents as a table of comma-separated values."""
        target = io.StringIO()
        writer = csv.DictWriter(target, [field.name for field in fields(Exponent)])
        writer.writeheader()
        writer.writerows(asdict(line) for line in self.exponents)
        return target.getvalue()

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write `coordcheck.nc`, `exponents.csv`, `exponents.json`, `plan.json` and the figures."""
        place = Path(folder)
        self.solution.save(place / "coordcheck.nc")
        texts = {"exponents.csv": self.csv(), "exponents.json": json.dumps(self.plain(), indent=1)}
        for name, text in texts.items():
            atomic_write(place / name, text)
        self.plan.save(place / "plan.json")
        figures = check_figures(self.solution, self.exponents, self.plan)
        for name, figure in figures.items():
            data = export(figure, "png")
            atomic_write(place / f"{name}.png", data)
        return place


@known_keywords
def coordinate_check(
    builder: Builder,
    *,
    sizes: Sequence[int] = (1, 2, 4, 8),
    steps: Sequence[int] = (0, 1, 5, 20),
    seeds: int | Sequence[int] = 3,
    parameterization: str = "mssp",
    progress: bool = True,
    **settings: Any,
) -> CoordinateCheck:
    """Train models of several sizes and fit how everything in them grows with size.

    Args:
        builder: Called as `builder(size, seed, parameterization, **settings)`, gives a `Setup`.
        sizes: Scale factors, increasing; three or more for a verdict worth having.
        steps: Numbers of updates after which to measure.
        seeds: Independent runs of every size: their number, or the seed of each.
        parameterization: Passed to the builder.
        progress: Show a progress bar where the error stream is a terminal.
        **settings: Passed to the builder.

    Raises:
        InvalidProblem: If sizes, steps or seeds are not allowed.
        MissingExtra: Without PyTorch.

    Cost:
        `seeds` trainings of `max(steps)` steps of every size; memory of twice the largest model.

    Source: Vankadara et al. (2026); docs/theory/experts.md, Coordinate check.
    """
    found = measure_ladder(builder, sizes, steps, seeds, parameterization, progress, **settings)
    scale = np.array(found.solution["size"].values, dtype=float)
    steps = [int(step) for step in found.solution["time"].values]
    measured = (
        (name, step, values[j].T)
        for name, values in sorted(found.values.items())
        for j, step in enumerate(steps)
    )
    lines = tuple(judge_all(measured, scale, found.plan))
    return CoordinateCheck(found.solution, lines, found.plan)
