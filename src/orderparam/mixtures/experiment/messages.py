"""The experiment of message passing: overlaps at every step, on data of finite dimension."""

import time
from collections.abc import Sequence

import numpy as np

from orderparam.contract import SavePlan
from orderparam.mixtures.experiment.gamp import pass_messages, start_from
from orderparam.mixtures.experiment.simulate import require_samples
from orderparam.mixtures.glossary import coordinates, variable
from orderparam.mixtures.model.sampling import draw, instance
from orderparam.mixtures.passing import MessagePassing
from orderparam.mixtures.theory.message_path import MESSAGE_SOURCES, outputs_of, step_coordinate
from orderparam.results import Coordinate, Solution, Variable, Verdict, build_solution
from orderparam.support.arguments import sizes_and_runs
from orderparam.support.progress import progress as progress_bar


def simulate_messages(
    problem: MessagePassing,
    dimensions: int | Sequence[int],
    seeds: int | Sequence[int],
    save: SavePlan | None = None,
    seed: int = 0,
    precision: str = "float64",
    progress: bool = True,
) -> Solution:
    """Run message passing on fresh data, `seeds` times in each dimension.

    Args:
        problem: What is passed.
        dimensions: Dimension d, or several.
        seeds: Number of runs, or one number for each dimension.
        save: Every step is kept whatever it says.
        seed: Every run is drawn from (seed, dimension, index of the run) alone.
        precision: Named for the other families; everything is float64.
        progress: Whether to show a progress bar on a terminal.

    Returns:
        `Q`, `m`, `V` and `b` before every step, with leading dimensions `dimension` and `seed`.
        A run whose weights overflow keeps its steps up to there; later ones are NaN, the run is
        not valid, and the verdict says so.

    Raises:
        InvalidProblem: If an argument is outside its range.
    """
    del precision, save
    sizes, runs = sizes_and_runs("dimension", dimensions, seeds)
    require_samples(problem, sizes, runs)
    total = problem.steps
    began = time.perf_counter()
    table: dict[str, np.ndarray] = {}
    valid = np.zeros((len(sizes), max(runs)), dtype=bool)
    with progress_bar(sum(runs), "passing messages", progress) as advance:
        for i, (dimension, count) in enumerate(zip(sizes, runs, strict=True)):
            for run in range(count):
                path, diverged = _run(problem, dimension, (seed, dimension, run))
                for name, value in outputs_of(problem, path).items():
                    blank = np.full((*valid.shape, total, *value.shape[1:]), np.nan)
                    table.setdefault(name, blank)[i, run, : len(value)] = value
                valid[i, run] = not diverged
                advance()
    lost = sum(runs) - int(valid.sum())
    leading = ("dimension", "seed", "time")
    variables = {n: variable(problem, n, values, None, leading) for n, values in table.items()}
    variables["run_valid"] = Variable(
        ("dimension", "seed"), valid, "whether the run exists and ended"
    )
    extra = {
        "time": step_coordinate(total),
        "dimension": Coordinate(("dimension",), np.array(sizes), "dimension d"),
        "seed": Coordinate(("seed",), np.arange(max(runs)), "run"),
    }
    return build_solution(
        variables,
        {**coordinates(problem), **extra},
        family=problem.family,
        kind="experiment",
        problem=problem.config(),
        method={
            "name": "messages",
            "dimension": sizes,
            "seeds": runs,
            "onsager": problem.onsager,
        },
        seed=seed,
        verdict=Verdict.DIVERGED if lost else Verdict.CONVERGED,
        message=f"{sum(runs)} runs of {total} steps."
        + (
            f" The weights of {lost} overflowed; raise `damping` of MessagePassing." if lost else ""
        ),
        diagnostics={},
        precision="float64",
        device="cpu",
        wall_time=time.perf_counter() - began,
        compile_time=None,
        sources=MESSAGE_SOURCES,
    )


def _run(
    problem: MessagePassing, dimension: int, seed: tuple[int, ...]
) -> tuple[dict[str, np.ndarray], bool]:
    """The path of one run, and whether it overflowed."""
    generator = np.random.default_rng(seed)
    at = instance(problem.mixture, dimension, generator)
    sample = draw(problem.mixture, at, round(float(problem.alpha) * dimension), generator)
    W = generator.standard_normal((problem.codes.shape[1], dimension))
    W = np.sqrt(problem.start_norm) * W
    start = start_from(problem, len(sample.x), dimension, W, problem.start_response)
    done = pass_messages(
        problem,
        at,
        sample,
        steps=problem.steps,
        start=start,
        damping=problem.damping,
        onsager=problem.onsager,
        tolerance=-1.0,
    )
    return {"Q": done.Q, "m": done.m, "V": done.V, "b": done.b}, done.diverged
