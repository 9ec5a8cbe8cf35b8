"""The path of message passing as a labelled result, the same for all its methods and for data."""

import time
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from orderparam.mixtures.glossary import coordinates, lifted, variable
from orderparam.mixtures.problem import MixtureERM
from orderparam.mixtures.theory.pack import SOURCES, bias
from orderparam.results import Coordinate, Solution, Verdict, build_solution

MESSAGE_SOURCES = [*SOURCES, "bayati2011", "berthier2020"]


def pack_path(
    problem: MixtureERM,
    path: Mapping[str, np.ndarray],
    errors: Mapping[str, np.ndarray],
    method: Mapping[str, Any],
    seed: int,
    began: float,
) -> Solution:
    """A solution along the steps from overlaps in computed outputs."""
    values = outputs_of(problem, path)
    spread = {n: np.abs(lifted_errors(problem, n, e)) for n, e in errors.items()}
    variables = {n: variable(problem, n, v, spread.get(n), ("time",)) for n, v in values.items()}
    finite = all(np.isfinite(v).all() for v in values.values())
    coords = coordinates(problem)
    coords["time"] = step_coordinate(len(path["b"]))
    return build_solution(
        variables,
        coords,
        family=problem.family,
        kind="theory",
        problem=problem.config(),
        method=method,
        seed=seed,
        verdict=Verdict.CONVERGED if finite else Verdict.NON_FINITE,
        message="Every step is finite." if finite else "The iteration diverges.",
        diagnostics={"last_change": _last_change(path["Q"])},
        precision="float64",
        device=jax.devices()[0].device_kind,
        wall_time=time.perf_counter() - began,
        compile_time=None,
        sources=MESSAGE_SOURCES,
    )


def outputs_of(problem: MixtureERM, path: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """From the outputs that are computed with to those of the user."""
    found = {name: lifted(problem, path[name], 2) for name in ("Q", "V")}
    return {**found, "m": lifted(problem, path["m"], 1), "b": bias(problem, path["b"])}


def lifted_errors(problem: MixtureERM, name: str, errors: np.ndarray) -> np.ndarray:
    """Standard errors in the user's outputs; the engine computes one output alone."""
    return lifted(problem, errors, 2 if name in ("Q", "V") else 1)


def step_coordinate(steps: int) -> Coordinate:
    """The steps of message passing."""
    return Coordinate(("time",), np.arange(steps), "step of message passing", "steps")


def _last_change(Q: Float[np.ndarray, "time ..."]) -> float:
    if len(Q) < 2:
        return float("nan")
    return float(np.abs(Q[-1] - Q[-2]).max() / max(np.abs(Q[-1]).max(), 1e-300))
