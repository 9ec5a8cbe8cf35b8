"""Circumstances of trained ladders: threads, seeds, sizes, and what a result says of them."""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from orderparam.contract import Problem
from orderparam.results import Solution, Verdict, build_solution
from orderparam.results.build import Coordinate, Variable
from orderparam.support.extras import needed


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch use one thread: small matrices gain nothing from more, and results stay equal."""
    torch = needed("torch", "torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def run_seeds(seed: int, runs: int) -> list[int]:
    """One seed for every run; runs of different seeds are independent."""
    return [int(word) for word in np.random.SeedSequence(seed).generate_state(runs)]


def ladder_coordinates(sizes: Sequence[int], runs: int) -> dict[str, Coordinate]:
    """All scale factors, and the largest one, which is where fits end."""
    return {
        "scale": Coordinate(("scale",), np.array(sizes), "scale factor"),
        "size": Coordinate(("size",), np.array(sizes[-1:]), "largest scale factor"),
        "seed": Coordinate(("seed",), np.arange(runs), "run"),
    }


def training_result(
    problem: Problem,
    variables: Mapping[str, Variable],
    coords: Mapping[str, Coordinate],
    sizes: Sequence[int],
    runs: int,
    seed: int,
    began: float,
) -> Solution:
    """The measurements with their circumstances."""
    valid = np.asarray(variables["run_valid"].values) if "run_valid" in variables else np.ones(1)
    lost = int((~valid.astype(bool)).sum())
    message = f"{runs} runs of each of the scale factors {', '.join(map(str, sizes))}."
    if lost:
        message += f" {lost} of them diverged or have a quantity without an exponent."
    return build_solution(
        variables,
        coords,
        family=problem.family,
        kind="experiment",
        problem=problem.config(),
        method={"name": "training", "size": list(sizes), "seeds": runs},
        seed=seed,
        verdict=Verdict.DIVERGED if lost == runs else Verdict.CONVERGED,
        message=message,
        diagnostics={"lost_runs": lost},
        precision="float32",
        device="cpu",
        wall_time=time.perf_counter() - began,
        compile_time=None,
        sources=("vankadara2026",),
    )
