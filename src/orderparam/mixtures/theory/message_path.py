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

_FAR = 1e3
"""Growth of Q from its start that counts as divergence."""

_LATE = 6
"""Steps from which on an oscillation counts."""

_SWING = 0.01

MESSAGE_SOURCES = [*SOURCES, "bayati2011", "berthier2020"]


def pack_path(
    problem: MixtureERM,
    path: Mapping[str, np.ndarray],
    errors: Mapping[str, np.ndarray],
    method: Mapping[str, Any],
    seed: int,
    began: float,
) -> Solution:
    """A solution along the steps from overlaps in computed outputs; NaN after an overflow."""
    alive = np.all([np.isfinite(v).reshape(len(v), -1).all(axis=1) for v in path.values()], axis=0)
    alive = np.logical_and.accumulate(alive)
    path = {n: np.where(_column(alive, v), v, np.nan) for n, v in path.items()}
    values = outputs_of(problem, path)
    spread = {n: np.abs(lifted_errors(problem, n, e)) for n, e in errors.items()}
    variables = {n: variable(problem, n, v, spread.get(n), ("time",)) for n, v in values.items()}
    verdict, message = judged(path)
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
        verdict=verdict,
        message=message,
        diagnostics={"last_change": _last_change(path["Q"][alive])},
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


def judged(path: Mapping[str, np.ndarray]) -> tuple[Verdict, str]:
    """Whether the overlaps stay of a plausible size and do not swing for ever.

    Steps are exact either way; what is judged is an iteration that should end at a minimiser.
    """
    Q = path["Q"].reshape(len(path["Q"]), -1)
    alive = np.isfinite(Q).all(axis=1)
    size = np.abs(Q).max(axis=1)
    far = ~alive | (size > _FAR * max(size[0], 1e-300)) & (np.arange(len(Q)) == len(Q) - 1)
    if far.any():
        largest, known = np.max(size, where=alive, initial=0.0), int(alive.sum())
        return Verdict.DIVERGED, (
            f"The iteration explodes: Q grows from {size[0]:.2g} to {largest:.2g} in the {known} "
            f"of {len(Q)} steps that are finite; these are exact, later ones NaN. Raise `damping` "
            "of MessagePassing."
        )
    changes = np.abs(np.diff(Q, axis=0)).max(axis=1) / np.maximum(size[1:], 1e-300)
    if len(Q) >= _LATE and changes[-1] > _SWING and _period_two(Q):
        return Verdict.NOT_CONVERGED, (
            f"The iteration swings between two states, {changes[-1]:.2g} of Q apart. Raise "
            "`damping` of MessagePassing; each step is exact."
        )
    last = f"; the last one changed Q by {changes[-1]:.1g} of its size" if len(Q) > 1 else ""
    return Verdict.CONVERGED, f"Every step is exact in the limit{last}."


def _period_two(Q: Float[np.ndarray, "time entry"]) -> bool:
    """Whether the last steps go back and forth without getting smaller."""
    first, second, third, fourth = (Q[i] for i in (-4, -3, -2, -1))
    swing = np.linalg.norm(fourth - third)
    returned = max(np.linalg.norm(fourth - second), np.linalg.norm(third - first))
    return bool(returned < 0.2 * swing)


def _column(alive: np.ndarray, values: np.ndarray) -> np.ndarray:
    return alive.reshape(-1, *(1,) * (values.ndim - 1))


def _last_change(Q: Float[np.ndarray, "time ..."]) -> float:
    if len(Q) < 2:
        return float("nan")
    return float(np.abs(Q[-1] - Q[-2]).max() / max(np.abs(Q[-1]).max(), 1e-300))
