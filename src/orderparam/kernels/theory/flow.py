"""Gradient flow: steps refined until the answer no longer moves."""

import abc
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from orderparam.contract import Estimate, Method, SavePlan
from orderparam.errors import Diverged
from orderparam.kernels.problem import KernelEvolution
from orderparam.results import Solution, Verdict
from orderparam.results.plain import plain

TOLERANCE = 1e-3
"""Change of predictions between two refinements, relative to the largest, that is accepted."""

SUBSTEPS = (1, 2, 4, 8, 16, 32, 64)
"""Divisions of a step, tried in order."""

NOTHING = 1e-14
"""Size of predictions that are zero up to rounding."""

USUAL = 4
"""How many divisions are tried before the answer no longer moves, in most problems."""

Train = Callable[[KernelEvolution, SavePlan], Solution]


class KernelMethod(Method):
    """A method of kernel evolution: it follows gradient descent, and from that gradient flow."""

    family: ClassVar[str] = "kernels"
    compilation: ClassVar[tuple[float, float]] = (2.0, 2.5)
    """Seconds of compilation, whatever the network and for each hidden layer, as measured."""

    def solve(
        self, problem: KernelEvolution, save: SavePlan, seed: int, progress: bool
    ) -> Solution:
        """Gradient descent as given, or its limit of small steps."""
        return with_small_steps(
            problem, save, lambda p, plan: self.descend(p, plan, seed, progress)
        )

    def estimate(self, problem: KernelEvolution, save: SavePlan) -> Estimate:
        """Memory and time of gradient descent; of gradient flow with steps divided as usual."""
        always, layer = self.compilation
        once = always + layer * problem.network.depth
        if not problem.gradient_flow:
            return replace(self.cost(problem, save), compilation=once)
        costs = [self.cost(*_divided(problem, save, m)) for m in SUBSTEPS[:USUAL]]
        # Other numbers of steps between those that are saved are other programs.
        return Estimate(max(c.memory for c in costs), sum(c.seconds for c in costs), USUAL * once)

    @abc.abstractmethod
    def cost(self, problem: KernelEvolution, save: SavePlan) -> Estimate:
        """Memory and time of gradient descent with the problem's own steps."""

    @abc.abstractmethod
    def descend(
        self, problem: KernelEvolution, save: SavePlan, seed: int, progress: bool
    ) -> Solution:
        """Solve gradient descent with the problem's own steps."""


def with_small_steps(problem: KernelEvolution, save: SavePlan, train: Train) -> Solution:
    """Gradient descent, or gradient flow by extrapolation to infinitely small steps.

    Every step is divided into m = 1, 2, 4, ... steps of the same total time. Errors of descent are
    of order 1/m, so `2 q_{2m} - q_m` has an error of order 1/m^2; m is doubled until the
    predictions change by less than 1e-3 of the largest, or by less than three standard errors.

    Args:
        problem: The problem; its `gradient_flow` decides.
        save: Steps of the problem to keep.
        train: Follows gradient descent, theory or experiment.

    Returns:
        The solution; for gradient flow with `step_error` and `substeps` in its diagnostics, in a
        theory what the last refinement changed in each `NAME_bias`, and the verdict
        `not_converged` if m = 64 was not enough.
    """
    if not problem.gradient_flow:
        return train(problem, save)
    coarse, before = None, None
    for substeps in SUBSTEPS:
        try:
            fine = train(*_divided(problem, save, substeps))
        except Diverged:
            # Coarser steps were unstable too, even where they stayed finite.
            coarse, before = None, None
            if substeps == SUBSTEPS[-1]:
                raise
            continue
        answer = fine if coarse is None else _extrapolated(coarse, fine)
        moved = np.inf if before is None else _moved(before, answer)
        # The extrapolation adds the noise of several solutions, as far as it is not common.
        converged = moved <= max(TOLERANCE, 3 * _noise(fine))
        if converged or substeps == SUBSTEPS[-1]:
            with_errors = answer if before is None else _with_step_errors(before, answer)
            return _labelled(problem, save, with_errors, substeps, moved, converged)
        coarse, before = fine, answer if coarse is not None else None
    raise AssertionError("SUBSTEPS is empty.")


def _divided(
    problem: KernelEvolution, save: SavePlan, substeps: int
) -> tuple[KernelEvolution, SavePlan]:
    """The problem with each step divided, and a plan that keeps the same times."""
    schedule = None if problem.schedule is None else np.repeat(problem.schedule, substeps)
    steps = (problem.steps - 1) * substeps + 1
    finer = replace(
        problem,
        learning_rate=problem.learning_rate / substeps,
        steps=steps,
        schedule=None if schedule is None else schedule[:steps],
        gradient_flow=False,
    )
    grid = tuple(int(t) * substeps for t in save.grid(problem.steps))
    fields = tuple(int(t) * substeps for t in save.fields_at)
    return finer, SavePlan(grid, save.two_time, fields)


def _extrapolated(coarse: Solution, fine: Solution) -> Solution:
    """2 q_{2m} - q_m for what changes smoothly with the step; samples are those of the finer."""
    dataset = fine.dataset.copy(deep=True)
    for name in fine.variables:
        if fine[name].dtype.kind == "f" and "neuron" not in fine[name].dims:
            dataset[name] = dataset[name].copy(data=2 * fine[name].values - coarse[name].values)
    return Solution(dataset)


def _with_step_errors(before: Solution, answer: Solution) -> Solution:
    """A theory whose biases hold what the last refinement of the steps changed.

    Experiments keep their numbers alone: their steps are those of the theory.
    """
    if answer.kind != "theory":
        return answer
    dataset = answer.dataset.copy(deep=True)
    for name in answer.variables:
        variable = dataset[name]
        if variable.dtype.kind != "f" or "neuron" in variable.dims:
            continue
        change = np.abs(variable.values - before[name].values)
        biased = variable.attrs.get("bias", f"{name}_bias")
        if biased in dataset:
            change = np.hypot(change, dataset[biased].values)
        labels = {"long_name": f"bias of {variable.attrs['long_name']}"}
        dataset[biased] = xr.Variable(
            variable.dims, change, labels | {"units": variable.attrs["units"]}
        )
        dataset[name].attrs["bias"] = biased
    return Solution(dataset)


def _moved(before: Solution, now: Solution) -> float:
    """Largest change of the predictions, relative to the largest of them."""
    change = float(np.nanmax(np.abs(now["f"].values - before["f"].values)))
    # Zero labels leave predictions at rounding.
    return change / max(float(np.nanmax(np.abs(now["f"].values))), NOTHING)


def _noise(solution: Solution) -> float:
    """Standard error of the predictions, relative to the largest; zero for exact ones."""
    if "f_se" not in solution:
        return 0.0
    scale = max(np.abs(solution["f"].values).max(), NOTHING)
    return float(np.sqrt(np.mean(solution["f_se"].values ** 2)) / scale)


def _labelled(
    problem: KernelEvolution,
    save: SavePlan,
    answer: Solution,
    substeps: int,
    moved: float,
    converged: bool,
) -> Solution:
    """The answer on the steps of the problem, with what the refinement leaves."""
    dataset = answer.dataset
    grid, fields = save.grid(problem.steps), np.asarray(sorted(set(save.fields_at)), dtype=int)
    for name, steps in (("time", grid), ("time_", grid), ("field_time", fields)):
        if name in dataset.coords:
            attributes = dataset[name].attrs
            dataset = dataset.assign_coords({name: xr.Variable((name,), steps, attributes)})
    diagnostics = answer.diagnostics | {"substeps": substeps, "step_error": moved}
    said = (
        f"Steps divided by {substeps} and extrapolated; the last refinement moved the predictions "
        f"by {moved:.1e} of the largest. {answer.message}"
    )
    attributes: dict[str, Any] = {
        "problem": json.dumps(plain(problem.config(), "problem"), ensure_ascii=False),
        "diagnostics": json.dumps(plain(diagnostics, "diagnostics"), ensure_ascii=False),
        "message": said,
    }
    if answer.verdict.ok and not converged:
        attributes["verdict"] = Verdict.NOT_CONVERGED.value
    return Solution(dataset.assign_attrs(attributes))
