"""The names of one-pass SGD: symbol, code name, dimensions, meaning, once for all results."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from orderparam.online.problem import TeacherStudent
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
    problem: TeacherStudent,
    name: str,
    values: np.ndarray,
    leading: tuple[str, ...],
    se: np.ndarray | None = None,
    bias: np.ndarray | None = None,
) -> Variable:
    """A variable of the glossary; all arrays have axes `leading`, `replicate`, its own."""
    dims, meaning, symbol = GLOSSARY[name]
    if problem.start.draws is None:
        values = np.squeeze(values, axis=len(leading))
        se = None if se is None else np.squeeze(se, axis=len(leading))
        bias = None if bias is None else np.squeeze(bias, axis=len(leading))
    else:
        leading = (*leading, "replicate")
    units = "samples/N" if name.endswith("_time") else ""
    return Variable((*leading, *dims), values, meaning, symbol, units, se, bias=bias)


def constants(problem: TeacherStudent) -> dict[str, Variable]:
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


def coordinates(
    problem: TeacherStudent, times: Float[np.ndarray, " time"]
) -> dict[str, Coordinate]:
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
