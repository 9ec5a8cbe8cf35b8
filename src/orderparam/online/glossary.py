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
    "Q_b": (
        ("time", "bin", "student", "student_"),
        "student-student overlaps of a bin of coordinates, their sum over bins is W W^T/N",
        "Q_b",
    ),
    "M_b": (("time", "bin", "student", "teacher"), "student-teacher overlaps of a bin", "M_b"),
    "T_b": (("bin", "teacher", "teacher_"), "teacher-teacher overlaps of a bin", "T_b"),
    "norm_time": ((), "time at which the norms reach the plateau's", r"t_{norm}"),
    "plateau_time": ((), "time at which the loss reaches the plateau's", r"t_{plateau}"),
    "escape_time": ((), "time at which the loss leaves the plateau", r"t_{esc}"),
    "convergence_time": ((), "time at which the loss is near its final value", r"t_{conv}"),
}
"""Dimensions, meaning and LaTeX symbol; many initial states add a leading `replicate`.

With structured inputs Q, M and T are the covariances of the pre-activations, sums over bins of
s_b Q_b and so on.
"""

Arrays = Mapping[str, Float[np.ndarray, "..."]]


def variable(
    problem: Any,
    name: str,
    values: np.ndarray,
    leading: tuple[str, ...],
    se: np.ndarray | None = None,
) -> Variable:
    """A variable of the glossary; `values` and `se` have axes `leading`, `replicate`, its own."""
    dims, meaning, symbol = GLOSSARY[name]
    if problem.start.draws is None:
        values = np.squeeze(values, axis=len(leading))
        se = None if se is None else np.squeeze(se, axis=len(leading))
    else:
        leading = (*leading, "replicate")
    units = "samples/N" if name.endswith("_time") else ""
    return Variable((*leading, *dims), values, meaning, symbol, units, se)


def constants(problem: Any) -> dict[str, Variable]:
    """What does not change in time: overlaps of the teacher, and the bins of the inputs."""
    found = {"T": variable(problem, "T", problem.preactivations().flat().T, ())}
    if problem.spectrum is not None:
        found["T_b"] = variable(problem, "T_b", problem.start.flat().T, ())
        spectrum = problem.spectrum
        for name, values, meaning, symbol in (
            ("input_variance", spectrum.variances, "variance of a coordinate", "s_b"),
            ("input_fraction", spectrum.fractions, "share of the coordinates", r"\phi_b"),
        ):
            found[name] = Variable(("bin",), values, f"{meaning} in each bin", symbol)
    return found


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
    if problem.spectrum is not None:
        bins = np.arange(problem.spectrum.bins)
        coords["bin"] = Coordinate(("bin",), bins, "bin of input coordinates")
    if draws is not None:
        coords["replicate"] = Coordinate(("replicate",), np.arange(draws), "initial state")
    return coords


def measured(problem: Any, Q: np.ndarray, M: np.ndarray, A: np.ndarray) -> dict[str, np.ndarray]:
    """Every variable that follows from the overlaps of axes (..., replicate, time, unit, unit).

    With structured inputs they have an axis for the bin before the units. States that are not
    finite (after a blow-up) give NaN.
    """
    if problem.spectrum is not None:
        parts = {"Q_b": Q, "M_b": M}
        Q, M = (problem.spectrum.weighted(part) for part in (Q, M))
        lost = ~np.isfinite(Q.sum((-1, -2)))[..., None, None, None]
        binned = {name: np.where(lost, np.nan, part) for name, part in parts.items()}
        return binned | _of_covariances(problem, Q, M, A)
    return _of_covariances(problem, Q, M, A)


def _of_covariances(
    problem: Any, Q: np.ndarray, M: np.ndarray, A: np.ndarray
) -> dict[str, np.ndarray]:
    """Every variable that follows from the covariances of the pre-activations."""
    sums = Q.sum((-1, -2)) + M.sum((-1, -2)) + A.sum(-1)
    finite = np.asarray(np.isfinite(sums))
    Q, M = (np.where(finite[..., None, None], part, np.nan) for part in (Q, M))
    T = problem.preactivations().flat().T[:, None]
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
