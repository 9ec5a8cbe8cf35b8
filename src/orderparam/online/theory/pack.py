"""From integrated trajectories to a solution: labels, averages over replicates, verdict."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from orderparam.contract import Method
from orderparam.online.glossary import constants, coordinates, variable
from orderparam.online.problem import TeacherStudent
from orderparam.online.theory.accuracy import integration_errors, quadrature_errors
from orderparam.online.theory.events import EVENTS
from orderparam.online.theory.integration import Trajectories
from orderparam.online.theory.observed import losses, measured
from orderparam.results import Solution, Verdict, build_solution
from orderparam.results.uncertainty import relative_bias

LARGEST_BIAS = 1e-4
"""Error of the quadrature, in units of the outputs' mean square, that a result may carry."""

ACCURACY = 0.01
"""Error of the loss, relative to its largest value, where a method names none."""

_RISE = 10.0
"""Final loss, in units of the largest that a run may start with, that counts as diverged."""


def packed(
    method: Method,
    problem: TeacherStudent,
    times: Float[np.ndarray, " time"],
    followed: tuple[Sequence[Trajectories], Trajectories | None],
    seed: int,
    wall_time: float,
    compile_time: float,
    note: str = "",
) -> Solution:
    """Label the trajectories, and say how they ended.

    Args:
        method: How they were integrated.
        problem: What was integrated.
        times: Saved times.
        followed: One run, or several replicates of which the mean counts, and the first of them
            with looser tolerances.
        seed: Seed of the replicates.
        wall_time: Seconds of all runs.
        compile_time: Seconds of compilation.
        note: What the start has to say, for the end of the message.
    """
    runs, coarser = followed
    found = [_arrays(problem, run) for run in runs]
    arrays, errors = _averaged(found)
    diagnostics: dict[str, Any] = {"steps": max(int(np.max(np.asarray(r.steps))) for r in runs)}
    if not isinstance(problem.activation, str):
        diagnostics |= quadrature_errors(problem, runs[0], arrays["loss"], errors["loss"])
    biases = {n: np.zeros(v.shape) for n, v in arrays.items()}
    if coarser is not None:
        biases = integration_errors(found[0], _arrays(problem, coarser))
        largest = float(np.nanmax(np.abs(found[0]["loss"])))
        error = float(biases["loss"].max())
        diagnostics["integration_error"] = error / largest if error else 0.0
    accuracy = method.config().get("accuracy", ACCURACY)
    verdict, message, lost = _judged(problem, runs, arrays, diagnostics, accuracy)
    if "quadrature_error" in diagnostics:
        each = np.full(len(arrays["loss"]), diagnostics["quadrature_error"])
        biases = {n: np.hypot(b, relative_bias(arrays[n], each)) for n, b in biases.items()}
    return build_solution(
        {n: variable(problem, n, arrays[n], (), errors[n], biases[n]) for n in arrays}
        | constants(problem),
        coordinates(problem, times),
        family=problem.family,
        kind="theory",
        problem=problem.config(),
        method=method.config(),
        seed=seed,
        verdict=verdict,
        message=" ".join(filter(None, (message, note))),
        diagnostics=diagnostics | {"lost": lost},
        precision="float64",
        device=jax.devices()[0].device_kind,
        wall_time=wall_time,
        compile_time=compile_time,
        sources=["bocchi2026"] if problem.activation == "quadratic" else ["saad1995"],
    )


def _averaged(
    found: Sequence[dict[str, np.ndarray]],
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Means over replicates and their standard errors; a single run has none."""
    if len(found) == 1:
        return found[0], dict.fromkeys(found[0])
    stacked = {name: np.stack([part[name] for part in found]) for name in found[0]}
    means = {name: part.mean(axis=0) for name, part in stacked.items()}
    spread = {name: part.std(axis=0, ddof=1) for name, part in stacked.items()}
    return means, {name: part / np.sqrt(len(found)) for name, part in spread.items()}


def _arrays(problem: TeacherStudent, run: Trajectories) -> dict[str, np.ndarray]:
    """Variables of one replicate."""
    arrays = measured(problem, *(np.asarray(part) for part in run.states))
    if run.events is not None:
        arrays |= dict(zip(EVENTS, np.asarray(run.events).T, strict=True))
    return arrays


def _judged(
    problem: TeacherStudent,
    runs: Sequence[Trajectories],
    arrays: Mapping[str, np.ndarray],
    diagnostics: Mapping[str, Any],
    accuracy: float,
) -> tuple[Verdict, str, int]:
    """Verdict, its reason, and how many trajectories were lost."""
    blown = np.any([np.asarray(run.blown_up) for run in runs], axis=0)
    finished = np.all([np.asarray(run.finished) for run in runs], axis=0)
    reached = np.min([np.asarray(run.reached) for run in runs], axis=0)
    lost = ~finished | ~np.isfinite(arrays["loss"]).all(axis=-1)
    number, of = int(lost.sum()), len(lost)
    if blown.any():
        message = (
            f"The norms of {blown.sum()} of {of} trajectories grew without bound, the first at "
            f"time {reached[blown].min():.6g}; values after that are NaN."
        )
        return Verdict.DIVERGED, message, number
    if lost.any():
        message = (
            f"{number} of {of} trajectories stopped after {diagnostics['steps']} steps, the first "
            f"at time {reached[lost].min():.6g}; values up to there are as accurate as asked for, "
            "later ones are NaN. Raise `max_steps`, or give a shorter `duration`."
        )
        return Verdict.NOT_CONVERGED, message, number
    risen = _risen(problem, arrays["loss"])
    if risen.any():
        message = (
            f"The loss of {risen.sum()} of {of} trajectories ends above {_RISE:g} times both its "
            "start and that of a student without output: the learning rate is beyond stability."
        )
        return Verdict.DIVERGED, message, number
    error = diagnostics.get("loss_standard_error", 0.0)
    bias = diagnostics.get("quadrature_error", 0.0)
    if bias > LARGEST_BIAS:
        message = (
            f"Quadrature has the error {bias:.1e} of the mean square of the outputs, above "
            f"{LARGEST_BIAS:g}: smooth the activation, or keep norms small."
        )
        return Verdict.ERROR_TOO_LARGE, message, number
    left = diagnostics.get("integration_error", 0.0)
    if left > accuracy:
        message = (
            f"The loss has the integration error {left:.1e} of its largest value, above "
            f"{accuracy:g}: lower `rtol` and `atol`."
        )
        return Verdict.ERROR_TOO_LARGE, message, number
    if error > accuracy:
        message = (
            f"The loss has the standard error {error:.1e} of its largest value, above `accuracy` = "
            f"{accuracy:g}: raise `samples` or `replicates`."
        )
        return Verdict.ERROR_TOO_LARGE, message, number
    return Verdict.CONVERGED, "Every trajectory reached its last time.", number


def _risen(problem: TeacherStudent, loss: Float[np.ndarray, "draw time"]) -> np.ndarray:
    """Which losses end far above whatever a sensible run starts with."""
    risen = loss[:, -1] > _RISE * loss[:, 0]
    if not risen.any():
        return risen
    start = problem.preactivations().flat()
    T = start.T
    nothing = losses(problem, 0 * start.Q, 0 * start.M, T, np.zeros((len(T), problem.students)))
    return risen & (loss[:, -1] > _RISE * nothing)
