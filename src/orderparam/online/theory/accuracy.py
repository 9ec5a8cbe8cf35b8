"""How exact integrated overlaps are: what steps, quadrature and random points leave of errors."""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from orderparam.numerics.activations import Activation
from orderparam.online.problem import TeacherStudent
from orderparam.online.theory.flow import fixed_of
from orderparam.online.theory.integration import Trajectories
from orderparam.online.theory.moments import State
from orderparam.online.theory.smooth import drift_errors

LEFT = 0.1
"""Error of overlaps and losses in units of what a thousandfold tolerance adds to it; measured:
0.001 to 0.03 of that."""

LEFT_OF_TIMES = 1.0
"""The same of times of events, which are read off inside long steps: measured up to 0.75."""

_CHECKED = 64
"""States at which the quadrature is checked."""


def integration_errors(
    fine: Mapping[str, np.ndarray], coarse: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """What the tolerances leave of the error of every variable, entry by entry.

    At least the largest of the entries at the same time, since two curves may cross; as large as
    the variable where the coarser run has no value.
    """
    found = {}
    for name, values in fine.items():
        left = LEFT_OF_TIMES if name.endswith("_time") else LEFT
        shift = left * np.abs(values - coarse[name])
        shift = np.where(np.isfinite(coarse[name]), shift, np.abs(values))
        shift = np.where(np.isfinite(values), shift, 0.0)
        axes = tuple(range(2, shift.ndim))
        found[name] = np.maximum(shift, shift.max(axis=axes, keepdims=True)) if axes else shift
    return found


def quadrature_errors(
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
