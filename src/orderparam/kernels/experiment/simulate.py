"""The experiment: ordinary finite networks, trained and measured like the theory's variables."""

import math
import operator
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from orderparam.contract import SavePlan
from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.kernels.experiment.networks import PARAMETERIZATIONS, weight_shapes
from orderparam.kernels.experiment.runs import train_networks
from orderparam.kernels.experiment.variables import label_coordinates, label_variables
from orderparam.kernels.model.cnn import CNN
from orderparam.kernels.problem import KernelEvolution
from orderparam.kernels.theory.flow import with_small_steps
from orderparam.kernels.theory.supported import require_few_fields
from orderparam.results import Solution, Verdict, build_solution


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

    Returns:
        The variables of the theory with leading dimensions `width` and `seed`; where fewer runs
        than the most were asked for, `run_valid` is false and the values are NaN.

    Raises:
        InvalidProblem: If an argument is outside its range.
        UnsupportedCombination: If two-time kernels or the standard parameterization are asked for
            of a convolutional network.
        CapacityExceeded: If what is to be kept does not fit in memory.
        Diverged: If a network leaves the finite numbers.

    Cost: 6 N² P (L-1) + 6 N D P operations a step and run, 3 N² (L-1) numbers of memory; with
    convolution times positions and offsets, resp. times offsets, and the tangent kernel needs the
    gradient of every sample at once.

    Source: Bordelon & Pehlevan (2022), section 2; docs/theory/kernels.md, Networks to compare
    with.
    """
    sizes = _counts("width", widths)
    runs = _counts("seeds", seeds)
    runs = runs * len(sizes) if len(runs) == 1 else runs
    _require_consistent(sizes, runs, seed, precision)
    _require_defined(parameterization, problem)
    plan = SavePlan() if save is None else save
    require_few_fields(problem, plan)
    grid = plan.grid(problem.steps)
    began = time.perf_counter()
    arrays, device = train_networks(
        problem, sizes, runs, plan, seed, precision, progress, parameterization=parameterization
    )
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


def _counts(name: str, value: Any) -> list[int]:
    """One positive integer or several, as a list."""
    several = hasattr(value, "__len__") and not isinstance(value, str)
    entries: list[Any] = list(value) if several else [value]
    try:
        counts = [operator.index(entry) for entry in entries]
    except TypeError:
        counts = []
    if not counts or min(counts) < 1 or any(isinstance(entry, bool) for entry in entries):
        raise InvalidProblem(
            f"Argument `{name}` is {value!r}; it must be a positive integer or a list of them."
        )
    return counts


def _require_defined(parameterization: str, problem: KernelEvolution) -> None:
    """Refuse parameterizations that do not exist, or not for this network."""
    if parameterization not in PARAMETERIZATIONS:
        raise InvalidProblem(
            f"Argument `parameterization` is {parameterization!r}; it must be one of "
            f"{', '.join(PARAMETERIZATIONS)}."
        )
    if parameterization == "standard" and isinstance(problem.network, CNN):
        raise UnsupportedCombination(
            "The parameterization 'standard' is not defined for convolutional networks; choose "
            "mean_field or ntk."
        )


def _require_consistent(
    widths: Sequence[int], counts: Sequence[int], seed: int, precision: str
) -> None:
    if len(set(widths)) != len(widths):
        raise InvalidProblem(
            f"Argument `width` names a width twice: {widths}; name each once and ask for more "
            "`seeds` instead."
        )
    if len(counts) != len(widths):
        raise InvalidProblem(
            f"Argument `seeds` has {len(counts)} entries for {len(widths)} widths; give one "
            "number, or one for each width."
        )
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InvalidProblem(f"Argument `seed` is {seed!r}; it must be an integer of at least 0.")
    if precision not in ("float32", "float64"):
        raise InvalidProblem(
            f"Argument `precision` is {precision!r}; it must be 'float32' or 'float64'."
        )
