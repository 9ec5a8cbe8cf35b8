"""Online learning: each constructor and function with a call that works."""

import functools
from typing import Any

import numpy as np
from case import Case

import orderparam as op


@functools.cache
def lesson() -> Any:
    """A small problem of online learning."""
    start = op.online.random_overlaps(2, 1, 100, student="orthogonal")
    return op.online.TeacherStudent(start, duration=1.0)


def online_cases() -> list[Case]:
    """Overlaps, inputs, problems, methods and what follows from them."""
    o = op.online
    Q, M, T = np.eye(2), np.full((2, 1), 0.1), np.eye(1)
    W = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, -1.0]])
    spectrum = o.InputSpectrum([1.0, 2.0], [0.5, 0.5])
    squares = dict.fromkeys(("Q", "M", "T"), "table none")
    numbers = {
        "normalisation": "text real",
        "centering": "text real",
        "schedule": "reals ints none function RateSchedule",
        "second_layer": "reals ints none",
        "teacher_second_layer": "reals ints none",
    }
    path = {"times": np.linspace(0, 1, 3), "Q": np.stack([Q] * 3), "M": np.stack([M] * 3), "T": T}
    frames = {"student_weights": "table", "teacher_weights": "table"}
    return [
        Case(
            "online.Overlaps", o.Overlaps, {"Q": Q, "M": M, "T": T, "dimension": 9}, accepts=squares
        ),
        Case(
            "online.BinnedOverlaps",
            o.BinnedOverlaps,
            {"Q": Q[None], "M": M[None], "T": T[None]},
            accepts=squares,
        ),
        Case(
            "online.InputSpectrum",
            o.InputSpectrum,
            {"variances": [1.0, 2.0], "fractions": [0.5, 0.5]},
            accepts={"variances": "reals ints", "fractions": "reals ints none"},
        ),
        Case(
            "online.RateSchedule",
            o.RateSchedule,
            {"values": [1.0, 0.5]},
            accepts={"values": "reals ints"},
        ),
        Case("online.TeacherStudent", o.TeacherStudent, {"start": lesson().start}, accepts=numbers),
        Case("online.OverlapODE", o.OverlapODE),
        Case("online.ModalODE", o.ModalODE),
        Case(
            "online.overlaps_of",
            o.overlaps_of,
            {"student_weights": W, "teacher_weights": W[:1]},
            accepts=frames,
        ),
        Case(
            "online.binned_overlaps_of",
            o.binned_overlaps_of,
            {"student_weights": W, "teacher_weights": W[:1], "spectrum": spectrum},
            accepts=frames,
        ),
        Case(
            "online.spread_overlaps",
            o.spread_overlaps,
            {"overlaps": lesson().start, "spectrum": spectrum},
        ),
        Case(
            "online.random_overlaps",
            o.random_overlaps,
            {"students": 2, "teachers": 1, "dimension": 9, "draws": 2},
        ),
        Case(
            "online.random_binned_overlaps",
            o.random_binned_overlaps,
            {"students": 2, "teachers": 1, "dimension": 20, "spectrum": spectrum},
        ),
        Case("online.power_law_inputs", o.power_law_inputs, {"exponent": 1.0}),
        Case(
            "online.learning_rate_from",
            o.learning_rate_from,
            {"framework_rate": 0.1, "dimension": 3},
        ),
        Case("online.manifold_dimension", o.manifold_dimension, {"students": 3, "teachers": 2}),
        Case("online.polar_factor", o.polar_factor, {"M": M}, accepts=squares),
        Case(
            "online.gram_schmidt_factor", o.gram_schmidt_factor, {"M": M, "T": T}, accepts=squares
        ),
        Case("online.isotropic", o.isotropic, {"problem": lesson()}),
        Case(
            "online.closed_spectrum",
            o.closed_spectrum,
            {"problem": lesson(), "point": "origin", "dimension": 50},
        ),
        Case("online.hessian_spectrum", o.hessian_spectrum, {"problem": lesson(), "dimension": 50}),
        Case(
            "online.escape_law",
            o.escape_law,
            {"problem": lesson(), "dimension": 50, "constant": "linear"},
        ),
        Case("online.selected_solution", o.selected_solution, {"problem": lesson()}),
        Case(
            "online.conserved_matrix",
            o.conserved_matrix,
            {"problem": lesson(), **path},
            accepts={**squares, "times": "reals ints"},
        ),
        Case(
            "online.critical_learning_rate",
            o.critical_learning_rate,
            {"problem": lesson()},
            dear=60,
        ),
        Case(
            "online.EscapeLaw",
            o.EscapeLaw,
            {"rate": 1.0, "constant": 1.0, "freedom": 2, "shift": 0.0},
            holds=True,
        ),
        Case(
            "online.HessianSpectrum",
            o.HessianSpectrum,
            {
                "values": np.array([-1.0, 1.0, 1.0]),
                "multiplicity": np.ones(3, int),
                "squared_gradient": 0.0,
            },
            holds=True,
        ),
        Case(
            "online.Isotropic",
            o.Isotropic,
            {
                "p": 2,
                "q": 1,
                "a": 1.0,
                "b": 1.0,
                "theta": 1.0,
                "eta": 0.1,
                "noise": 0.0,
                "label_noise": 0.0,
                "offset": 0.0,
            },
            holds=True,
        ),
        Case(
            "online.Selected",
            o.Selected,
            {"O": M, "overlaps": lesson().start, "squared_distance": -1.0, "exact": True},
            holds=True,
        ),
    ]
