"""The experiment: the classifier fitted to samples of finite dimension, measured exactly."""

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from orderparam.contract import SavePlan
from orderparam.errors import InvalidProblem, NotConverged
from orderparam.mixtures.experiment.fits import Task, fit
from orderparam.mixtures.experiment.measured import measure
from orderparam.mixtures.glossary import coordinates, variable
from orderparam.mixtures.model.sampling import draw, instance
from orderparam.mixtures.problem import MixtureERM
from orderparam.results import Coordinate, Solution, Variable, Verdict, build_solution
from orderparam.support.arguments import sizes_and_runs
from orderparam.support.memory import require_numbers
from orderparam.support.progress import progress as progress_bar


def simulate_fits(
    problem: MixtureERM,
    dimensions: int | Sequence[int],
    seeds: int | Sequence[int],
    save: SavePlan | None = None,
    seed: int = 0,
    precision: str = "float64",
    progress: bool = True,
) -> Solution:
    """Fit the classifier to alpha d samples in d dimensions, `seeds` times.

    Means that are random are drawn anew in each run. The test error is computed exactly from the
    fitted weights (Gaussian tails, or 65536 Sobol points for several outputs), not on test samples.

    Args:
        problem: What is fitted.
        dimensions: Dimension d, or several; a multiple of that of explicit matrices.
        seeds: Number of runs, or one number for each dimension.
        save: There is no time, so nothing to choose.
        seed: Every run is drawn from (seed, dimension, index of the run) alone.
        precision: Named for the other families; fits are made in float64.
        progress: Whether to show a progress bar on a terminal.

    Returns:
        The variables of the theory with leading dimensions `dimension` and `seed`; runs whose fit
        failed are NaN, and `run_valid` is false there.

    Raises:
        InvalidProblem: If an argument is outside its range.

    Cost: one fit for each point, dimension and seed, see `fits.fit`.
    """
    del precision, save
    sizes, runs = sizes_and_runs("dimension", dimensions, seeds)
    require_samples(problem, sizes, runs)
    began = time.perf_counter()
    alphas, _ = problem.points()
    if min(alphas) * min(sizes) < problem.mixture.classes:
        raise InvalidProblem(
            f"alpha = {min(alphas):g} in dimension {min(sizes)} leaves fewer samples than classes; "
            "choose larger ones."
        )
    table: dict[str, np.ndarray] = {}
    valid = np.zeros((len(sizes), max(runs)), dtype=bool)
    failures: list[str] = []
    with progress_bar(sum(runs), "fitting classifiers", progress) as advance:
        for i, (dimension, count) in enumerate(zip(sizes, runs, strict=True)):
            for run in range(count):
                try:
                    measured = _run(problem, dimension, (seed, dimension, run))
                except NotConverged as error:
                    failures.append(f"d = {dimension}, run {run}: {error}")
                    continue
                finally:
                    advance()
                for name, value in measured.items():
                    blank = np.full((*valid.shape, *value.shape), np.nan)
                    table.setdefault(name, blank)[i, run] = value
                valid[i, run] = True
    if not table:
        raise NotConverged(f"No run ended; the first failure: {failures[0]}")
    return _packed(problem, table, valid, sizes, runs, seed, began, failures)


def require_samples(problem: MixtureERM, sizes: Sequence[int], runs: Sequence[int]) -> None:
    """Refuse sample sets and numbers of runs that no memory holds, before anything is drawn."""
    largest = max(sizes)
    require_numbers("dimension", math.ceil(max(1.0, problem.alpha.max() * largest)) * largest)
    require_numbers("seeds", len(sizes) * max(runs))


def task_of(problem: MixtureERM, strength: float) -> Task:
    """What is minimised at one point of a problem."""
    return Task(problem.loss, problem.penalty, strength, problem.fit_bias, problem.class_weights)


def _run(problem: MixtureERM, dimension: int, seed: tuple[int, ...]) -> dict[str, np.ndarray]:
    """One run at every point; samples are shared by all strengths at one alpha."""
    generator = np.random.default_rng(seed)
    at = instance(problem.mixture, dimension, generator)
    rows = []
    for alpha in problem.alpha.ravel():
        sample = draw(problem.mixture, at, round(alpha * dimension), generator)
        for strength in problem.strength.ravel():
            task = task_of(problem, float(strength))
            found = fit(task, sample.x, problem.mixture.labels[sample.cluster])
            rows.append(measure(problem, task, at, sample, found, float(alpha)))
    shape = problem.shape
    return {
        name: np.stack([row[name] for row in rows]).reshape((*shape, *rows[0][name].shape))
        for name in rows[0]
    }


def _packed(
    problem: MixtureERM,
    table: dict[str, np.ndarray],
    valid: np.ndarray,
    sizes: list[int],
    runs: list[int],
    seed: int,
    began: float,
    failures: list[str],
) -> Solution:
    leading = ("dimension", "seed", *problem.dims)
    variables = {n: variable(problem, n, values, None, leading) for n, values in table.items()}
    for name, trials in (("train_error", "samples"), ("active", "dimension")):
        variables[name] = replace(variables[name], trials=trials)
    samples = np.round(np.multiply.outer(np.array(sizes), problem.alpha)).astype(int)
    varied = tuple(dim for dim in problem.dims if dim == "alpha")
    variables["samples"] = Variable(("dimension", *varied), samples, "training samples")
    variables["run_valid"] = Variable(
        ("dimension", "seed"), valid, "whether the fit reached its optimality conditions"
    )
    extra = {
        "dimension": Coordinate(("dimension",), np.array(sizes), "dimension d"),
        "seed": Coordinate(("seed",), np.arange(max(runs)), "run"),
    }
    method: dict[str, Any] = {"name": "fits", "dimension": sizes, "seeds": runs}
    message = f"{int(valid.sum())} runs of {len(problem.points()[0])} fits each."
    return build_solution(
        variables,
        {**coordinates(problem), **extra},
        family=problem.family,
        kind="experiment",
        problem=problem.config(),
        method=method,
        seed=seed,
        verdict=Verdict.NOT_CONVERGED if failures else Verdict.CONVERGED,
        message=" ".join([message, *failures[:3]]),
        diagnostics={"failed_runs": len(failures)},
        precision="float64",
        device="cpu",
        wall_time=time.perf_counter() - began,
        compile_time=None,
        sources=["loureiro2021"],
    )
