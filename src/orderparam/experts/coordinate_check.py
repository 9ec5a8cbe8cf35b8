"""The coordinate check: train a ladder of sizes for some steps, and see which quantities grow.

In a scale-stable parameterization every activation, update and atomic term of the experts' sum
keeps its size along the ladder. The check fits how each of them grows and says which one does not.
"""

import csv
import io
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from orderparam.errors import InvalidProblem
from orderparam.experts.adapters.extras import needed
from orderparam.experts.exponents import Exponent, judge
from orderparam.experts.glossary import meaning
from orderparam.experts.rules.plan import ScalingPlan
from orderparam.experts.setup import Builder, run_list
from orderparam.progress import progress as progress_bar
from orderparam.results import Solution
from orderparam.results.build import Coordinate, Variable, build_solution
from orderparam.results.files import atomic_write
from orderparam.results.verdict import Verdict


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
        """What certainly did not keep its size."""
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
        from orderparam.experts.check_figures import check_figures
        from orderparam.plots import export

        place = Path(folder)
        self.solution.save(place / "coordcheck.nc")
        texts = {"exponents.csv": self.csv(), "exponents.json": json.dumps(self.plain(), indent=1)}
        for name, text in texts.items():
            atomic_write(place / name, lambda path, text=text: path.write_text(text, "utf-8"))
        self.plan.save(place / "plan.json")
        for name, figure in check_figures(self).items():
            data = export(figure, "png")
            atomic_write(place / f"{name}.png", lambda path, data=data: path.write_bytes(data))
        return place


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

    Source: Vankadara et al. (2026); experts.md section 5.
    """
    needed("torch", "torch")
    sizes, steps = _increasing("sizes", sizes, 1, 2), _increasing("steps", steps, 0, 1)
    runs = run_list(seeds)
    started = time.monotonic()
    found: dict[str, np.ndarray] = {}
    plan: ScalingPlan | None = None
    with progress_bar(len(sizes) * len(runs), "coordinate check", progress) as advance:
        for i, size in enumerate(sizes):
            for run, seed in enumerate(runs):
                setup = builder(size, seed, parameterization, **settings)
                plan = setup.plan
                for j, values in enumerate(_measured(setup, steps)):
                    for name, value in values.items():
                        shape = (len(steps), len(sizes), len(runs))
                        found.setdefault(name, np.full(shape, np.nan))[j, i, run] = value
                advance()
    assert plan is not None
    scale = np.array(sizes, dtype=float)
    lines = tuple(
        judge(name, step, values[j].T, scale, plan)
        for name, values in sorted(found.items())
        for j, step in enumerate(steps)
    )
    described = {"builder": getattr(builder, "__name__", "builder"), **settings}
    solution = _solution(
        found, sizes, steps, len(runs), plan, described, time.monotonic() - started
    )
    return CoordinateCheck(solution, lines, plan)


def _measured(setup: Any, steps: Sequence[int]) -> list[dict[str, float]]:
    """Train one model and measure it before the updates numbered `steps`."""
    from orderparam.experts.adapters.torch_observables import Recorder

    recorder = Recorder(setup)
    measured = []
    for step in range(max(steps) + 1):
        if step == 0 or step in steps:
            values = recorder.measure()
            if step in steps:
                measured.append(values)
        if step < max(steps):
            inputs, labels = setup.batch(step)
            setup.optimizer.zero_grad(set_to_none=True)
            setup.loss(setup.model(inputs), labels).backward()
            setup.optimizer.step()
    setup.optimizer.zero_grad(set_to_none=True)
    return measured


def _increasing(name: str, given: Sequence[int], least: int, count: int) -> list[int]:
    """Whole numbers in increasing order."""
    values = list(given)
    whole = all(isinstance(v, int) and not isinstance(v, bool) and v >= least for v in values)
    if not whole or len(values) < count or values != sorted(set(values)):
        raise InvalidProblem(
            f"Argument `{name}` must hold at least {count} increasing integers from {least} on, "
            f"but is {values}; give for example 1, 2, 4, 8."
        )
    return values


def _solution(
    found: dict[str, np.ndarray],
    sizes: Sequence[int],
    steps: Sequence[int],
    seeds: int,
    plan: ScalingPlan,
    settings: dict[str, Any],
    seconds: float,
) -> Solution:
    """All measurements as one labelled result."""
    names = sorted(found)
    values = np.stack([found[name] for name in names])
    finite = bool(np.isfinite(values).all())
    return build_solution(
        {"value": Variable(("observable", "time", "size", "seed"), values, "observable")},
        {
            "observable": Coordinate(("observable",), np.array(names), "observable"),
            "meaning": Coordinate(
                ("observable",), np.array([meaning(name)[1] for name in names]), "meaning"
            ),
            "time": Coordinate(("time",), np.array(steps), "updates", "steps"),
            "size": Coordinate(("size",), np.array(sizes), "scale factor"),
            "seed": Coordinate(("seed",), np.arange(seeds), "seed"),
        },
        family="experts",
        kind="experiment",
        problem={"plan": plan.recipe.plain(), "regime": plan.regime, "base": plan.base.plain()},
        method={"name": "coordinate-check", **{k: str(v) for k, v in settings.items()}},
        seed=0,
        verdict=Verdict("converged") if finite else Verdict("diverged"),
        message="" if finite else "A run became non-finite; lower the learning rate.",
        diagnostics={"plan_fingerprint": plan.fingerprint()},
        precision="float32",
        device="cpu",
        wall_time=seconds,
        compile_time=None,
        sources=("vankadara2026",),
    )
