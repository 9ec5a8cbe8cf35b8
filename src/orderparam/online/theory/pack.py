"""From integrated trajectories to a solution: labels, averages over replicates, verdict."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from orderparam.contract import Method
from orderparam.numerics.activations import Activation
from orderparam.online.glossary import constants, coordinates, variable
from orderparam.online.problem import TeacherStudent
from orderparam.online.theory.events import EVENTS
from orderparam.online.theory.flow import fixed_of
from orderparam.online.theory.integration import Trajectories
from orderparam.online.theory.moments import State
from orderparam.online.theory.observed import losses, measured
from orderparam.online.theory.smooth import drift_errors
from orderparam.results import Solution, Verdict, build_solution
from orderparam.results.uncertainty import relative_bias

LARGEST_BIAS = 1e-4
"""Error of the quadrature, in units of the outputs' mean square, that a result may carry."""

_RISE = 10.0
"""Final loss, in units of the largest that a run may start with, that counts as diverged."""

_CHECKED = 64
"""States at which the quadrature is checked."""


def packed(
    method: Method,
    problem: TeacherStudent,
    times: Float[np.ndarray, " time"],
    runs: Sequence[Trajectories],
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
        runs: One, or several replicates of which the mean counts.
        seed: Seed of the replicates.
        wall_time: Seconds of all runs.
        compile_time: Seconds of compilation.
        note: What the start has to say, for the end of the message.
    """
    found = [_arrays(problem, run) for run in runs]
    arrays, errors = _averaged(found)
    diagnostics: dict[str, Any] = {"steps": max(int(np.max(np.asarray(r.steps))) for r in runs)}
    if not isinstance(problem.activation, str):
        diagnostics |= _accuracy(problem, runs[0], arrays["loss"], errors["loss"])
    accuracy = method.config().get("accuracy", 0.0)
    verdict, message, lost = _judged(problem, runs, arrays, diagnostics, accuracy)
    biases: dict[str, Any] = dict.fromkeys(arrays)
    if "quadrature_error" in diagnostics:
        each = np.full(len(arrays["loss"]), diagnostics["quadrature_error"])
        biases = {name: relative_bias(values, each) for name, values in arrays.items()}
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


def _accuracy(
    problem: TeacherStudent, run: Trajectories, loss: np.ndarray, error: np.ndarray | None
) -> dict[str, float]:
    """Relative errors of the frozen points and of the quadrature."""
    largest = 0.0 if error is None else float(np.nanmax(error) / np.nanmax(loss))
    fixed = fixed_of(problem, jnp.asarray(problem.preactivations().flat().T))
    states, draws = _some(problem, run.states)
    assert isinstance(problem.activation, Activation), "Closed forms need no quadrature."
    teachers = tuple(part[draws] for part in fixed.teachers())
    errors = np.asarray(drift_errors(states, teachers, fixed, problem.activation))
    return {"loss_standard_error": largest, "quadrature_error": float(np.nanmax(errors))}


def _some(problem: TeacherStudent, states: State) -> tuple[State, Int[np.ndarray, " point"]]:
    """Covariances of some states, evenly over all draws and times, with their draws."""
    Q, M, A = (np.asarray(part) for part in states)
    if problem.spectrum is not None:
        Q, M = (problem.spectrum.weighted(part) for part in (Q, M))
    draws, times = Q.shape[:2]
    chosen = np.unique(np.linspace(0, draws * times - 1, _CHECKED).astype(int))
    parts = (part.reshape(draws * times, *part.shape[2:])[chosen] for part in (Q, M, A))
    Q, M, A = (jnp.asarray(part) for part in parts)
    return State(Q, M, A), chosen // times
