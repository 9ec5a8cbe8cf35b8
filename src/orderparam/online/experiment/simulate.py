"""The experiment: students trained by one-pass SGD, measured like the theory's variables."""

import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from orderparam.contract import SavePlan
from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.online.experiment.chain import simulate_chain
from orderparam.online.experiment.direct import simulate_direct
from orderparam.online.experiment.inputs import inputs_of
from orderparam.online.glossary import constants, coordinates, variable
from orderparam.online.problem import TeacherStudent
from orderparam.online.theory.observed import measured
from orderparam.results import Coordinate, Solution, Variable, Verdict, build_solution
from orderparam.support.arguments import one_of, optional, sizes_and_runs
from orderparam.support.memory import require_numbers
from orderparam.support.progress import progress as progress_bar
from orderparam.support.settings import library_settings

OPTIONS = ("simulator", "inputs", "inputs_as")
SIMULATORS = ("direct", "chain")


def simulate_students(
    problem: TeacherStudent,
    dimension: int | Sequence[int] | None,
    seeds: int | Sequence[int],
    save: SavePlan,
    seed: int = 0,
    precision: str = "float32",
    progress: bool = True,
    simulator: str = "direct",
    inputs: Any = None,
    inputs_as: str | None = None,
) -> Solution:
    """Train students from the problem's initial overlaps.

    A saved time t is measured after round(t N) steps.

    Args:
        problem: A `TeacherStudent`.
        dimension: N, or several; that of the start if `None`.
        seeds: Runs per dimension and initial state, or one number for each dimension.
        save: What to keep.
        seed: Each run is drawn from (seed, dimension, run, initial state) alone.
        precision: `"float32"` or `"float64"`.
        progress: Whether to show a progress bar on a terminal.
        simulator: `"direct"` (weights, gradients by JAX) or `"chain"` (exact, Gaussian inputs).
        inputs: Data to draw inputs from instead, for `"direct"`; centred, mean square 1.
        inputs_as: `"set"`: rows with replacement, so in the long run multi-pass;
            `"covariance"`: a Gaussian surrogate of equal covariance.

    Returns:
        The theory's variables with leading dimensions `dimension` and `seed`. Runs that blew up
        have a false `run_valid`, the time `diverged_time` and NaN from there on.

    Raises:
        InvalidProblem: If an argument is outside its range.
        UnsupportedCombination: If the simulator does not cover the problem.
    """
    began = time.perf_counter()
    sizes, counts = sizes_and_runs("dimension", _wanted(problem, dimension), seeds)
    simulator = one_of("simulator", simulator, SIMULATORS)
    precision = one_of("precision", precision, ("float32", "float64"))
    inputs_as = optional(one_of, "inputs_as", inputs_as, ("set", "covariance"))
    _require_room(problem, sizes, counts, simulator)
    if simulator == "chain" and inputs is not None:
        raise UnsupportedCombination(
            'The reduced chain is exact for Gaussian inputs alone; use simulator="direct".'
        )
    times = problem.times(save)
    total = sum(n * k * (problem.start.draws or 1) for n, k in zip(sizes, counts, strict=True))
    with (
        library_settings(precision == "float64"),
        progress_bar(int(total * times[-1]), "one-pass SGD", progress) as done,
    ):
        parts = [
            _of_size(problem, n, k, times, seed, precision, simulator, (inputs, inputs_as), done)
            for n, k in zip(sizes, counts, strict=True)
        ]
    arrays, stopped = _joined(problem, parts, max(counts))
    return _packed(
        problem, arrays, stopped, times, sizes, counts, seed, precision,
        {"name": simulator, "inputs": _law(problem, inputs, inputs_as)}, began,
    )  # fmt: skip


def _of_size(
    problem: TeacherStudent,
    dimension: int,
    runs: int,
    times: np.ndarray,
    seed: int,
    precision: str,
    simulator: str,
    data: tuple[Any, str | None],
    done: Any,
) -> tuple[np.ndarray, ...]:
    """All runs of one dimension, with axes (seed, replicate, time, ...)."""
    draws = problem.start.draws or 1
    which = np.tile(np.arange(draws), runs)
    streams = [
        np.random.SeedSequence([seed, dimension, run, draw]).generate_state(3)
        for run in range(runs)
        for draw in range(draws)
    ]
    steps = np.rint(times * dimension).astype(int)
    if problem.batch_size > max(1, dimension / 10):
        raise InvalidProblem(
            f"Argument `batch_size` is {problem.batch_size}, but the theory holds for batches much "
            f"smaller than N = {dimension} (at most N/10); lower it, or raise `dimension`."
        )
    if simulator == "chain":
        found = simulate_chain(problem, dimension, which, streams, steps, precision, done)
    else:
        inputs = inputs_of(*data, dimension, precision, problem.spectrum)
        found = simulate_direct(problem, dimension, which, streams, steps, precision, inputs, done)
    return tuple(part.reshape(runs, draws, *part.shape[1:]) for part in found)


def _joined(
    problem: TeacherStudent, parts: Sequence[tuple[np.ndarray, ...]], most: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Variables with axes (dimension, seed, replicate, ...); missing seeds are NaN."""

    def padded(part: np.ndarray) -> np.ndarray:
        missing = np.full((most - len(part), *part.shape[1:]), np.nan)
        return np.concatenate([part, missing])

    Q, M, A, stopped = (np.stack([padded(p[i].astype(float)) for p in parts]) for i in range(4))
    return measured(problem, Q, M, A), stopped


def _packed(
    problem: TeacherStudent,
    arrays: dict[str, np.ndarray],
    stopped: np.ndarray,
    times: np.ndarray,
    sizes: Sequence[int],
    counts: Sequence[int],
    seed: int,
    precision: str,
    method: dict[str, Any],
    began: float,
) -> Solution:
    """Label the runs, and say which of them blew up."""
    leading = ("dimension", "seed")
    variables = {name: variable(problem, name, v, leading) for name, v in arrays.items()}
    variables |= constants(problem)
    exists = np.arange(max(counts))[None, :] < np.array(counts)[:, None]
    blown = (stopped >= 0).any(axis=-1) & exists
    variables["run_valid"] = Variable(leading, exists & ~blown, "whether the run stayed finite")
    when = np.where(stopped >= 0, stopped / np.array(sizes, float)[:, None, None], np.nan)
    dims = (*leading, "replicate")[: 2 + (problem.start.draws is not None)]
    variables["diverged_time"] = Variable(
        dims, when.reshape(when.shape[: len(dims)]), "time of a blow-up", "", "samples/N"
    )
    coords = coordinates(problem, times)
    coords["dimension"] = Coordinate(("dimension",), np.array(sizes), "input dimension N")
    coords["seed"] = Coordinate(("seed",), np.arange(max(counts)), "run")
    lost = int(blown.sum())
    emptied = (exists & ~blown).sum(axis=1).min() == 0
    message = f"{sum(counts)} runs per initial state for {times[-1]:g} N samples."
    if lost:
        message += f" {lost} of them blew up and are left out of every average (`run_valid`)."
    return build_solution(
        variables,
        coords,
        family=problem.family,
        kind="experiment",
        problem=problem.config(),
        method={**method, "dimension": list(sizes), "seeds": list(counts), "precision": precision},
        seed=seed,
        verdict=Verdict.DIVERGED if emptied else Verdict.CONVERGED,
        message=message,
        diagnostics={"blown_up": lost},
        precision=precision,
        device=jax.devices()[0].device_kind,
        wall_time=time.perf_counter() - began,
        compile_time=None,
        sources=["bocchi2026"] if problem.activation == "quadratic" else ["saad1995"],
    )


def _law(problem: TeacherStudent, inputs: Any, inputs_as: str | None) -> str:
    """The law of the inputs in words."""
    if problem.spectrum is not None:
        return "Gaussian with the problem's spectrum"
    if inputs is None:
        return "standard Gaussian"
    covariance = inputs_as == "covariance"
    return "Gaussian of the data's covariance" if covariance else "data, with replacement"


def _require_room(
    problem: TeacherStudent, sizes: list[int], counts: list[int], simulator: str
) -> None:
    """Refuse weights and numbers of runs that no memory holds, before anything is drawn."""
    runs = max(counts) * (problem.start.draws or 1)
    require_numbers("seeds", len(sizes) * runs)
    if simulator == "direct":
        require_numbers("dimension", (problem.students + problem.teachers) * max(sizes), size=4)


def _wanted(problem: TeacherStudent, dimension: Any) -> Any:
    """The dimensions asked for, or that of the start."""
    dimension = problem.start.dimension if dimension is None else dimension
    if dimension is None:
        raise InvalidProblem(
            "simulate() needs the input dimension, which the initial overlaps do not name; call "
            "simulate(problem, dimension=..., seeds=...)."
        )
    return dimension
