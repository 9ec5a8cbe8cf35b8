"""Ladders of models: train every size for some updates, and measure everything in it."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from orderparam.experts.glossary import meaning
from orderparam.experts.models.setup import Builder, built, code_of, run_list
from orderparam.experts.rules.plan import ScalingPlan
from orderparam.experts.rules.recipe import PARAMETERIZATIONS
from orderparam.results import Solution
from orderparam.results.build import Coordinate, Variable, build_solution
from orderparam.results.verdict import Verdict
from orderparam.support.arguments import function, integers, one_of, refuse, truth
from orderparam.support.extras import needed
from orderparam.support.progress import progress as progress_bar


class Measured(NamedTuple):
    """A measured ladder.

    Attributes:
        solution: Every observable with dimensions observable, time, size and seed.
        values: The same by name, with axes step, size and run.
        plan: Plan of the largest model.
    """

    solution: Solution
    values: dict[str, np.ndarray]
    plan: ScalingPlan


def measure_ladder(
    builder: Builder,
    sizes: Sequence[int],
    steps: Sequence[int],
    seeds: int | Sequence[int],
    parameterization: str,
    progress: bool,
    **settings: Any,
) -> Measured:
    """Train models of several sizes and measure them; arguments as in `coordinate_check`."""
    function("builder", builder, "size, seed and parameterization")
    sizes, steps = increasing("sizes", sizes, 1, 2), increasing("steps", steps, 0, 1)
    runs = run_list(seeds)
    parameterization = one_of("parameterization", parameterization, PARAMETERIZATIONS)
    progress = truth("progress", progress)
    needed("torch", "torch")
    started = time.monotonic()
    found: dict[str, np.ndarray] = {}
    plan: ScalingPlan | None = None
    with progress_bar(len(sizes) * len(runs), "coordinate check", progress) as advance:
        for i, size in enumerate(sizes):
            for run, seed in enumerate(runs):
                setup = built(builder, size, seed, parameterization, **settings)
                plan = setup.plan
                with code_of(builder):
                    measured = _measured(setup, steps)
                for j, values in enumerate(measured):
                    for name, value in values.items():
                        shape = (len(steps), len(sizes), len(runs))
                        found.setdefault(name, np.full(shape, np.nan))[j, i, run] = value
                advance()
    assert plan is not None
    described = {"builder": getattr(builder, "__name__", "builder"), **settings}
    solution = _solution(
        found, sizes, steps, len(runs), plan, described, time.monotonic() - started
    )
    return Measured(solution, found, plan)


def _measured(setup: Any, steps: Sequence[int]) -> list[dict[str, float]]:
    """Train one model and measure it before the updates numbered `steps`."""
    from orderparam.experts.experiment.observables import Recorder

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


def increasing(name: str, given: Sequence[int], least: int, number: int) -> list[int]:
    """At least `number` whole numbers from `least` on, in increasing order."""
    values = integers(name, given, least)
    if len(values) < number or values != sorted(set(values)):
        allowed = f"a list of at least {number} increasing integers from {least} on"
        raise refuse(name, given, allowed, "give for example 1, 2, 4, 8")
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
