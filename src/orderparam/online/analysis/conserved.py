"""The matrix that gradient flow conserves for every teacher and every start."""

import numpy as np
from jaxtyping import Bool, Float

from orderparam.errors import InvalidProblem
from orderparam.online.analysis.selection import matrices
from orderparam.online.model.input_spectrum import require_unit_inputs
from orderparam.online.problem import TeacherStudent, checked_problem
from orderparam.support.arguments import refuse
from orderparam.support.arrays import array
from orderparam.support.keywords import known_keywords
from orderparam.support.later import linalg
from orderparam.support.notices import notice

_WELL = 1e-4
"""Smallest eigenvalue of rho, in units of Q, that integration to 1e-8 knows to 1e-4."""

_DRIFT = 0.01


@known_keywords
def conserved_matrix(
    problem: TeacherStudent,
    times: Float[np.ndarray, " time"],
    Q: Float[np.ndarray, "time student student"],
    M: Float[np.ndarray, "time student teacher"],
    T: Float[np.ndarray, "teacher teacher"],
) -> tuple[Float[np.ndarray, "time teacher teacher"], Bool[np.ndarray, " time"]]:
    """X = E^T M^T rho^-1 M E, constant in gradient flow for every T and Q(0).

    `rho = Q - M T^-1 M^T`, `E = exp(-4 a B T s)` with s = eta t, or the integral of eta(t) up to t
    for a rate that follows a schedule. It is known only while rho, a difference, is
    larger than rounding.

    Returns:
        X, and at which times the smallest eigenvalue of rho exceeds 1e-7 of Q's largest.

    Warns:
        UserWarning: If X drifts by more than 1 % of its size while rho is well known, as it does in
            a run with SGD noise, which does not conserve it.

    Source: docs/theory/online.md, Conserved quantities.
    """
    require_unit_inputs(checked_problem(problem).spectrum, "The conserved matrix")
    times, T = array("times", times, (1,)), matrices("T", T)
    Q, M = matrices("Q", Q), matrices("M", M)
    p, q, n = problem.students, problem.teachers, len(times)
    for name, part, shape in (("Q", Q, (n, p, p)), ("M", M, (n, p, q)), ("T", T, (q, q))):
        if part.shape != shape:
            raise refuse(name, part, f"an array of shape {shape}", "give one matrix for each time")
    if np.linalg.matrix_rank(T) < q:
        raise InvalidProblem("Argument `T` is singular; drop dependent teachers.")
    a = float(problem.A[0])
    schedule, eta = problem.schedule, problem.learning_rate / (1 - problem.momentum)
    flow = eta * (times if schedule is None else schedule.integral(problem.duration, times))
    rho = Q - M @ np.linalg.inv(T) @ np.swapaxes(M, -1, -2)
    known = np.linalg.eigvalsh(rho)[:, 0] > 1e-7 * np.linalg.eigvalsh(Q)[:, -1]
    inner = np.swapaxes(M, -1, -2) @ np.linalg.solve(rho, M)
    decay = linalg.expm(-4 * a * (np.diag(problem.B) @ T) * flow[:, None, None])
    X = np.swapaxes(decay, -1, -2) @ inner @ decay
    _warn_of_drift(X, np.linalg.eigvalsh(rho)[:, 0] > _WELL * np.linalg.eigvalsh(Q)[:, -1])
    return X, known


def _warn_of_drift(X: Float[np.ndarray, "time teacher teacher"], known: np.ndarray) -> None:
    """Say where X is not what its name promises."""
    if known.sum() < 2:
        return
    values = X[known]
    drift = float(np.abs(values - values[0]).max() / max(np.abs(values[0]).max(), 1e-300))
    if drift > _DRIFT:
        notice(
            f"X drifts by {drift:.0%} of its size, so this run does not conserve it: it is "
            "constant in gradient flow alone. Solve with OverlapODE(sgd_noise=False)."
        )
