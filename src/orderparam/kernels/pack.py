"""From the runs of a program to a solution: averages, standard errors, derived quantities."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from orderparam.contract import SavePlan
from orderparam.engine import Run
from orderparam.kernels.glossary import coordinates, derived, variable
from orderparam.kernels.problem import KernelEvolution
from orderparam.results import Coordinate, Solution, Variable, Verdict, build_solution

OBSERVED = ("f", "Phi", "G", "ntk")


def pack_theory(
    problem: KernelEvolution,
    save: SavePlan,
    runs: Sequence[Run],
    *,
    method: Mapping[str, Any],
    seed: int,
    verdict: Verdict,
    message: str,
    diagnostics: Mapping[str, Any],
) -> Solution:
    """Average replicates into a solution; one replicate (an exact space) has no standard error."""
    steps = save.grid(problem.steps)
    data, depth = problem.data, problem.network.depth
    per_run = [derived(data.y, data.y_test, {k: run.observed[k] for k in OBSERVED}) for run in runs]
    variables = {name: _averaged(name, [r[name] for r in per_run]) for name in per_run[0]}
    coords = coordinates(steps, problem.learning_rate, data.count, data.test_count, depth)
    if save.two_time:
        for name in ("Phi", "G"):
            kernels = [_two_time(run, steps, name, len(runs) == 1) for run in runs]
            variables[f"{name}_two"] = _averaged(f"{name}_two", kernels)
        coords["time_"] = Coordinate(("time_",), steps, "second step", "steps")
    if save.fields_at and len(runs) > 1:
        at = np.asarray(sorted(set(save.fields_at)))
        for name in ("h", "z"):
            pooled = [np.stack([run.fields[int(t)][name] for t in at]) for run in runs]
            variables[name] = variable(name, np.concatenate(pooled, axis=-1))
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


def _averaged(name: str, values: Sequence[Float[np.ndarray, "..."]]) -> Variable:
    if len(values) == 1:
        return variable(name, values[0])
    stacked = np.stack(values)
    se = stacked.std(axis=0, ddof=1) / np.sqrt(len(values))
    return variable(name, stacked.mean(axis=0), se)


def _two_time(
    run: Run, steps: np.ndarray, name: str, exact: bool
) -> Float[np.ndarray, "layer time time sample sample"]:
    field = {"Phi": "phi", "G": "g"}[name]
    vectors = [run.fields[int(t)][field] for t in steps]
    # In an exact space vectors gain coefficients as the run goes on; earlier ones are zero there.
    room = max(v.shape[-1] for v in vectors)
    padded = [np.pad(v, ((0, 0), (0, 0), (0, room - v.shape[-1]))) for v in vectors]
    stacked = np.stack(padded)
    points = 1 if exact else room
    return np.einsum("tlis,uljs->ltuij", stacked, stacked, optimize=True) / points
