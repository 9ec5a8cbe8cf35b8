"""Trained ladders, sweeps and traps as results that can be compared with counting."""

import time
from typing import Any

import numpy as np

from orderparam.contract import SavePlan
from orderparam.experts.experiment.circumstances import (
    ladder_coordinates,
    one_thread,
    run_seeds,
    training_result,
)  # fmt: skip
from orderparam.experts.experiment.ladder import measure_ladder
from orderparam.experts.experiment.sizes import ladder_sizes, same_number, single_precision
from orderparam.experts.experiment.sweep import sweep_losses
from orderparam.experts.glossary import entry_coordinates
from orderparam.experts.models.find import find_builder
from orderparam.experts.problem import Ladder, Transfer
from orderparam.experts.theory.exponents import run_slopes
from orderparam.experts.theory.optimum import best_factor
from orderparam.experts.theory.predictions import predictions
from orderparam.experts.traps import Trap
from orderparam.results import Solution
from orderparam.results.build import Coordinate, Variable
from orderparam.support.extras import needed
from orderparam.support.progress import progress as progress_bar

_RUNS = ("size", "seed")


def simulate_ladder(
    problem: Ladder, size: Any, seeds: Any, save: SavePlan, seed: int, *,
    precision: str = "float32", progress: bool = True,
) -> Solution:  # fmt: skip
    """Train a ladder and fit the exponent of every prediction, run by run.

    Args:
        problem: A `Ladder`.
        size: Scale factors, two or more; three or more for a verdict worth having.
        seeds: Runs of every size.
        save: Which updates to measure after.
        seed: Seed of everything random.
        precision: `float32`.
        progress: Show a progress bar.

    Returns:
        `exponent` by run and prediction, fitted on the three largest sizes, at the largest size;
        and every root mean square in `value`.

    Raises:
        InvalidProblem: If an argument is not allowed.
        MissingExtra: Without PyTorch.
    """
    began = time.perf_counter()
    single_precision(precision)
    sizes, runs = ladder_sizes(size, 2), same_number(seeds)
    steps = problem.grid(save)
    with one_thread():
        check = measure_ladder(
            find_builder(problem.model), sizes=sizes, steps=steps, seeds=run_seeds(seed, runs),
            parameterization=problem.parameterization, progress=progress, **problem.settings(),
        )  # fmt: skip
    entries = list(predictions(problem.plan(), problem.reference.roles, steps))
    value = check.solution["value"]
    fitted = [
        run_slopes(value.sel(observable=name, time=step).values.T, np.array(sizes, float))
        for name, step in entries
    ]
    exponents = np.stack(fitted, axis=-1)[None]
    names = value["observable"].values
    variables = {
        "exponent": Variable(
            (*_RUNS, "prediction"), exponents, "exponent in the scale factor", "c"
        ),
        "value": Variable(
            ("measured", "time", "scale", "seed"), value.values, "root mean square of entries", "r"
        ),
        "run_valid": Variable(
            _RUNS, np.asarray(np.isfinite(exponents).all(-1)), "whether every fit exists"
        ),
    }
    coords = entry_coordinates(entries) | {
        "measured": Coordinate(("measured",), names, "observable"),
        "time": Coordinate(("time",), np.array(steps), "updates", "steps"),
        **ladder_coordinates(sizes, runs),
    }
    return training_result(problem, variables, coords, sizes, runs, seed, began)


def simulate_transfer(
    problem: Transfer, size: Any, seeds: Any, save: SavePlan, seed: int, *,
    precision: str = "float32", progress: bool = True,
) -> Solution:  # fmt: skip
    """Train every size at every learning rate.

    Returns:
        `loss` by size, learning rate and run, NaN where `diverged`, and `optimum_ratio` by run:
        the best learning rate of the largest size over that of the smallest.

    Raises:
        InvalidProblem: If an argument is not allowed.
        MissingExtra: Without PyTorch.
    """
    began = time.perf_counter()
    single_precision(precision)
    sizes, runs = ladder_sizes(size, 2), same_number(seeds)
    with one_thread():
        losses = sweep_losses(
            find_builder(problem.model), sizes=sizes, factors=problem.factors,
            steps=problem.updates, seeds=run_seeds(seed, runs), progress=progress,
            parameterization=problem.parameterization, **problem.settings(),
        )  # fmt: skip
    finite = np.asarray(np.isfinite(losses), dtype=bool)
    diverged = np.logical_not(finite)
    valid = finite[0].any(axis=0) & finite[-1].any(axis=0)
    loss = np.where(diverged, np.nan, losses)
    ratios = [
        best_factor(problem.factors, losses[-1, :, run])
        / best_factor(problem.factors, losses[0, :, run])
        for run in range(runs)
    ]
    dims = ("scale", "factor", "seed")
    name = "best learning rate of the largest model over that of the smallest"
    variables = {
        "optimum_ratio": Variable(_RUNS, np.array(ratios)[None], name, r"\eta_{max}/\eta_{min}"),
        "loss": Variable(dims, loss, "held-out loss after training", r"\mathcal{L}"),
        "diverged": Variable(dims, diverged, "whether the run diverged"),
        "run_valid": Variable(_RUNS, valid[None], "whether some rate did not diverge"),
    }
    coords = {
        "factor": Coordinate(("factor",), np.array(problem.factors), "factor of learning rates"),
        **ladder_coordinates(sizes, runs),
    }
    return training_result(problem, variables, coords, sizes, runs, seed, began)


def simulate_trap(
    problem: Trap, size: Any, seeds: Any, save: SavePlan, seed: int, *,
    precision: str = "float32", progress: bool = True,
) -> Solution:  # fmt: skip
    """Fall into a trap, or avoid it.

    Returns:
        `value` by size and run, and `outcome` by run: `value` at the largest size, or for the
        balancing loss its exponent in the number of experts, on the three largest sizes.

    Raises:
        InvalidProblem: If an argument is not allowed.
        MissingExtra: Without PyTorch.
    """
    needed("torch", "torch")
    from orderparam.experts.experiment.trap_measures import MEASURES

    began = time.perf_counter()
    single_precision(precision)
    grows = problem.trap == "balancing-loss"
    sizes, runs = ladder_sizes(size, 2 if grows else 1), same_number(seeds)
    measure = MEASURES[problem.trap]
    value = np.empty((len(sizes), runs))
    with one_thread(), progress_bar(value.size, problem.trap, progress) as advance:
        for i, scale in enumerate(sizes):
            for run, own in enumerate(run_seeds(seed, runs)):
                value[i, run] = measure(scale, own, problem.avoided)
                advance()
    outcome = run_slopes(value.T, np.array(sizes, float)) if grows else value[-1]
    words, symbol = problem.measured
    variables = {
        "outcome": Variable(_RUNS, outcome[None], words, symbol),
        "value": Variable(("scale", "seed"), value, "what was measured at each size", symbol),
    }
    return training_result(
        problem, variables, ladder_coordinates(sizes, runs), sizes, runs, seed, began
    )
