"""The experiment: ordinary finite networks, trained and measured like the theory's variables."""

import math
import time
from collections.abc import Sequence
from typing import Any

from orderparam.contract import SavePlan
from orderparam.errors import UnsupportedCombination
from orderparam.kernels.experiment.networks import PARAMETERIZATIONS, weight_shapes
from orderparam.kernels.experiment.runs import train_networks
from orderparam.kernels.experiment.variables import label_coordinates, label_variables
from orderparam.kernels.model.cnn import CNN
from orderparam.kernels.problem import KernelEvolution
from orderparam.kernels.theory.flow import with_small_steps
from orderparam.results import Solution, Verdict, build_solution
from orderparam.support.arguments import integer, one_of, sizes_and_runs
from orderparam.support.memory import require_numbers


def simulate(
    problem: KernelEvolution,
    widths: int | Sequence[int],
    seeds: int | Sequence[int],
    save: SavePlan,
    seed: int,
    **options: Any,
) -> Solution:
    """Train as `simulate_networks` does, by gradient descent or (extrapolated) by its flow."""
    return with_small_steps(
        problem, save, lambda p, plan: simulate_networks(p, widths, seeds, plan, seed, **options)
    )


def simulate_networks(
    problem: KernelEvolution,
    widths: int | Sequence[int],
    seeds: int | Sequence[int],
    save: SavePlan | None = None,
    seed: int = 0,
    precision: str = "float32",
    progress: bool = True,
    parameterization: str = "mean_field",
    group: int | None = None,
) -> Solution:
    """Train finite networks by gradient descent and measure them.

    θ ← θ - η γ0² N ∇ mean_μ ℓ(f_μ, y_μ); what is measured at step t is before update t.

    Args:
        problem: A `KernelEvolution`.
        widths: Width N, or several.
        seeds: Number of runs per width, or one number for each width.
        save: What to keep; by default up to 201 steps.
        seed: Every network is drawn from (seed, width, index of the run) alone.
        precision: `"float32"` or `"float64"`; both start from the same weights.
        progress: Whether to show a progress bar on a terminal.
        parameterization: `"mean_field"` (muP): γ0 as in the problem, the theory's limit. `"ntk"`:
            γ0 = 1/√N, whose limit is the static kernel. `"standard"`: weights of variance 1/fan-in
            and one learning rate η/N; as NTK, with input weights that learn at D/N of the rate.
        group: Networks trained at once; by default as many as are worth it, one on a CPU. Narrow
            ones in large numbers gain from more.

    Returns:
        The variables of the theory with leading dimensions `width` and `seed`; where fewer runs
        than the most were asked for, `run_valid` is false and the values are NaN.

    Raises:
        InvalidProblem: If an argument is outside its range.
        UnsupportedCombination: If the standard parameterization is asked for of a convolutional
            network.
        CapacityExceeded: If what is to be kept does not fit in memory.
        Diverged: If a network leaves the finite numbers.

    Cost: 6 N² P (L-1) + 6 N D P operations a step and run, 3 N² (L-1) numbers of memory; with
    convolution times positions and offsets, resp. times offsets, and the tangent kernel needs the
    gradient of every sample at once.

    Source: Bordelon & Pehlevan (2022), section 2; docs/theory/kernels.md, Networks to compare
    with.
    """
    sizes, runs = sizes_and_runs("width", widths, seeds)
    seed = integer("seed", seed, 0)
    precision = one_of("precision", precision, ("float32", "float64"))
    parameterization = _defined(parameterization, problem)
    _require_room(problem, sizes, runs)
    plan = SavePlan() if save is None else save
    grid = plan.grid(problem.steps)
    began = time.perf_counter()
    arrays, device = train_networks(
        problem, sizes, runs, plan, seed, precision, progress, group,
        parameterization=parameterization,
    )  # fmt: skip
    return build_solution(
        label_variables(arrays, problem),
        label_coordinates(arrays, problem, sizes, grid, plan.fields_at),
        family=problem.family,
        kind="experiment",
        problem=problem.config(),
        method={
            "name": "networks",
            "width": sizes,
            "seeds": runs,
            "precision": precision,
            "parameterization": parameterization,
        },
        seed=seed,
        verdict=Verdict.CONVERGED,
        message=f"{sum(runs)} networks trained for {int(grid[-1])} steps.",
        diagnostics={"parameters": [_parameters(problem, width) for width in sizes]},
        precision=precision,
        device=device,
        wall_time=time.perf_counter() - began,
        compile_time=None,
        sources=["bordelon2022"],
    )


def _parameters(problem: KernelEvolution, width: int) -> int:
    data = problem.data
    shapes = weight_shapes(problem.network, width, data.dimension, data.outputs)
    return sum(math.prod(shape) for shape in shapes)


def _require_room(problem: KernelEvolution, sizes: Sequence[int], runs: Sequence[int]) -> None:
    """Refuse networks and numbers of runs that no memory holds, before anything is drawn."""
    # One network at a time: weights as drawn, as trained, and their gradient.
    require_numbers("width", 3 * max(_parameters(problem, width) for width in sizes), size=4)
    require_numbers("seeds", len(sizes) * max(runs))


def _defined(parameterization: str, problem: KernelEvolution) -> str:
    """Refuse parameterizations that do not exist, or not for this network."""
    parameterization = one_of("parameterization", parameterization, PARAMETERIZATIONS)
    if parameterization == "standard" and isinstance(problem.network, CNN):
        raise UnsupportedCombination(
            "The parameterization 'standard' is not defined for convolutional networks; choose "
            "mean_field or ntk."
        )
    return parameterization
