"""The names of one-pass SGD: symbol, code name, dimensions, meaning, once for all results."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from orderparam.online.flow import fixed_of, population_loss
from orderparam.online.moments import State
from orderparam.results import Coordinate, Variable

GLOSSARY: dict[str, tuple[tuple[str, ...], str, str]] = {
    "loss": (("time",), "population loss, half the mean squared error without label noise", "e_g"),
    "mse": (("time",), "population mean squared error without label noise", "2 e_g"),
    "alignment": (
        ("time",),
        "share of the students' space that lies in the teacher's, tr(Q^-1 M T^-1 M^T)/min(p, p*)",
        r"\cos^2",
    ),
    "Q": (("time", "student", "student_"), "student-student overlaps", "Q"),
    "M": (("time", "student", "teacher"), "student-teacher overlaps", "M"),
    "A": (("time", "student"), "second layer over its normalisation", r"a/\kappa"),
    "T": (("teacher", "teacher_"), "teacher-teacher overlaps", "T"),
    "norm_time": ((), "time at which the norms reach the plateau's", r"t_{norm}"),
    "plateau_time": ((), "time at which the loss reaches the plateau's", r"t_{plateau}"),
    "escape_time": ((), "time at which the loss leaves the plateau", r"t_{esc}"),
    "convergence_time": ((), "time at which the loss is near its final value", r"t_{conv}"),
}
"""Dimensions, meaning and LaTeX symbol; many initial states add a leading `replicate`."""

Arrays = Mapping[str, Float[np.ndarray, "..."]]


def variable(problem: Any, name: str, values: np.ndarray, leading: tuple[str, ...]) -> Variable:
    """A variable of the glossary; `values` has the axes `leading`, `replicate`, and its own."""
    dims, meaning, symbol = GLOSSARY[name]
    if problem.start.draws is None:
        values = np.squeeze(values, axis=len(leading))
    else:
        leading = (*leading, "replicate")
    units = "samples/N" if name.endswith("_time") else ""
    return Variable((*leading, *dims), values, meaning, symbol, units)


def coordinates(problem: Any, times: Float[np.ndarray, " time"]) -> dict[str, Coordinate]:
    """Coordinates that theory and experiment share."""
    p, q, draws = problem.students, problem.teachers, problem.start.draws
    coords = {
        "time": Coordinate(("time",), times, "time, samples divided by N", "samples/N"),
        "student": Coordinate(("student",), np.arange(p), "student unit"),
        "student_": Coordinate(("student_",), np.arange(p), "second student unit"),
        "teacher": Coordinate(("teacher",), np.arange(q), "teacher unit"),
        "teacher_": Coordinate(("teacher_",), np.arange(q), "second teacher unit"),
    }
    if draws is not None:
        coords["replicate"] = Coordinate(("replicate",), np.arange(draws), "initial state")
    return coords


def measured(problem: Any, Q: np.ndarray, M: np.ndarray, A: np.ndarray) -> dict[str, np.ndarray]:
    """Every variable that follows from the overlaps of axes (..., replicate, time, unit, unit).

    States that are not finite (after a blow-up) give NaN.
    """
    sums = Q.sum((-1, -2)) + M.sum((-1, -2)) + A.sum(-1)
    finite = np.asarray(np.isfinite(sums))
    Q, M = (np.where(finite[..., None, None], part, np.nan) for part in (Q, M))
    T = problem.start.flat().T[:, None]
    T = np.broadcast_to(T, (*finite.shape, *T.shape[-2:]))
    values = {"Q": Q, "M": M, "loss": np.full(finite.shape, np.nan)}
    values["loss"][finite] = losses(problem, Q[finite], M[finite], T[finite], A[finite])
    values["mse"] = 2 * values["loss"]
    values["alignment"] = np.full(finite.shape, np.nan)
    values["alignment"][finite] = alignment(Q[finite], M[finite], T[finite])
    if problem.second_layer_rate > 0:
        values["A"] = np.where(finite[..., None], A, np.nan)
    return values


def losses(
    problem: Any, Q: np.ndarray, M: np.ndarray, T: np.ndarray, A: np.ndarray
) -> Float[np.ndarray, " point"]:
    """The population loss at many states, in float64 whatever the caller's setting."""
    with jax.enable_x64(True):
        states = State(*(jnp.asarray(part, jnp.float64) for part in (Q, M, A)))
        fixed = fixed_of(problem, jnp.asarray(T, jnp.float64))
        return np.asarray(population_loss(states, fixed, problem.activation))


def alignment(Q: np.ndarray, M: np.ndarray, T: np.ndarray) -> Float[np.ndarray, " point"]:
    """tr(Q^-1 M T^-1 M^T)/min(p, p*), with pseudo-inverses where vectors are dependent."""
    students, teachers = _inverse(Q) @ M, M @ _inverse(T)
    return np.sum(students * teachers, axis=(-1, -2)) / min(M.shape[-2:])


def _inverse(gram: np.ndarray) -> np.ndarray:
    """Inverse of Gram matrices; the (slower) pseudo-inverse where one is nearly singular."""
    norm = np.abs(gram).max((-1, -2))
    safe = np.linalg.det(gram / norm[:, None, None]) > 1e-8
    inverse = np.empty_like(gram)
    inverse[safe] = np.linalg.inv(gram[safe])
    inverse[~safe] = np.linalg.pinv(gram[~safe], rcond=1e-10, hermitian=True)
    return inverse
