"""From the runs of a program to a solution: averages, standard errors, derived quantities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from orderparam.contract import SavePlan
from orderparam.engine import Run
from orderparam.kernels.glossary import coordinates, row_shape, variable
from orderparam.kernels.problem import KernelEvolution
from orderparam.kernels.theory.derived import derived
from orderparam.kernels.theory.physics import checked_loss
from orderparam.kernels.theory.two_time import two_time
from orderparam.results import Coordinate, Solution, Variable, Verdict, build_solution


@dataclass(frozen=True)
class Trajectory:
    """What a method without the engine observed, with the names and axes of a program's run."""

    observed: Mapping[str, Float[np.ndarray, "time ..."]]
    run_seconds: float
    compile_seconds: float = 0.0
    fields: Mapping[int, Mapping[str, Float[np.ndarray, "..."]]] = field(default_factory=dict)


def pack_theory(
    problem: KernelEvolution,
    save: SavePlan,
    runs: Sequence[Run | Trajectory],
    *,
    method: Mapping[str, Any],
    seed: int,
    verdict: Verdict,
    message: str,
    diagnostics: Mapping[str, Any],
    biases: Mapping[str, Float[np.ndarray, "..."]] | None = None,
) -> Solution:
    """Average replicates into a solution; one replicate (an exact space) has no standard error.

    A loss that grew is no converged result, however exactly the method followed it.
    """
    steps = save.grid(problem.steps)
    per_run = [derived(problem, run.observed) for run in runs]
    known = {} if biases is None else biases
    variables = {
        name: _averaged(problem, name, [r[name] for r in per_run], known.get(name))
        for name in per_run[0]
    }
    if verdict.ok:
        verdict, message = checked_loss(variables["loss"].values, steps, message)
    coords = coordinates(problem, steps)
    if save.two_time:
        for name in ("Phi", "G"):
            kernels = [_two_time(problem, run, steps, name, len(runs) == 1) for run in runs]
            variables[f"{name}_two"] = _averaged(problem, f"{name}_two", kernels)
        coords["time_"] = Coordinate(("time_",), steps, "second step", "steps")
    if save.fields_at and len(runs) > 1:
        at = np.asarray(sorted(set(save.fields_at)))
        variables |= {name: _pooled(problem, runs, at, name) for name in ("h", "z")}
        coords["field_time"] = Coordinate(("field_time",), at, "step of the fields", "steps")
    return build_solution(
        variables,
        coords,
        family=problem.family,
        kind="theory",
        problem=problem.config(),
        method=method,
        seed=seed,
        verdict=verdict,
        message=message,
        diagnostics=diagnostics,
        precision="float64",
        device=jax.devices()[0].device_kind,
        wall_time=sum(run.run_seconds for run in runs),
        compile_time=sum(run.compile_seconds for run in runs),
        sources=["bordelon2022"],
    )


def _pooled(
    problem: KernelEvolution, runs: Sequence[Run | Trajectory], at: Int[np.ndarray, " time"],
    name: str,
) -> Variable:  # fmt: skip
    """Single-site samples of a field at some steps, of all replicates together."""
    samples = [np.stack([run.fields[int(t)][name] for t in at]) for run in runs]
    values = np.concatenate(samples, axis=-1)
    return variable(problem, name, _split(problem, name, values, axis=2))


def _averaged(
    problem: KernelEvolution,
    name: str,
    values: Sequence[Float[np.ndarray, "..."]],
    bias: Float[np.ndarray, "..."] | None = None,
) -> Variable:
    if len(values) == 1:
        return variable(problem, name, values[0], bias=bias)
    stacked = np.stack(values)
    se = stacked.std(axis=0, ddof=1) / np.sqrt(len(values))
    return variable(problem, name, stacked.mean(axis=0), se, bias=bias)


def _split(
    problem: KernelEvolution, name: str, values: Float[np.ndarray, "..."], axis: int
) -> Float[np.ndarray, "..."]:
    """Separate samples, outputs and positions, which share `axis`."""
    shape = (-1, *row_shape(problem, name))
    return values.reshape(*values.shape[:axis], *shape, *values.shape[axis + 1 :])


def _two_time(
    problem: KernelEvolution, run: Run | Trajectory, steps: np.ndarray, name: str, exact: bool
) -> Float[np.ndarray, "layer time time ..."]:
    kernel = two_time(problem, [run.fields[int(t)] for t in steps], name, exact)
    whole = f"{name}_two"
    return _split(problem, whole, _split(problem, whole, kernel, axis=4), axis=3)
