"""The equations in singular modes: equal to the full equations, and refused where it is not."""

import numpy as np
import pytest

import orderparam as op
from orderparam.errors import UnsupportedCombination
from orderparam.results import Verdict

PLAIN = {"label_noise": 0.05, "batch_size": 2, "duration": 200.0}
EXACT = {"rtol": 1e-11, "atol": 1e-13}
SETTINGS = {
    (3, 2): {"label_noise": 0.2, "weight_decay": 0.05, "schedule": (1.0, 0.6), "momentum": 0.2},
    (2, 4): {"centering": 0.3, "teacher_second_layer": [0.7] * 4, "batch_size": 2},
}


def problem(p, q, draws=None, **changes):
    start = op.online.random_overlaps(
        p, q, 40, draws, norm=0.8, teacher_norm=1.3, student="orthogonal", seed=p
    )
    return op.online.TeacherStudent(start, **({"learning_rate": 0.2, "duration": 20.0} | changes))


@pytest.mark.parametrize(
    ("p", "q"), [(2, 2), *(pytest.param(*key, marks=pytest.mark.validate) for key in SETTINGS)]
)
def test_modes_give_the_full_equations(p, q):
    draws = None if p == q else 3
    task, save = problem(p, q, draws, **SETTINGS.get((p, q), PLAIN)), op.SavePlan(steps=6)
    full = op.solve(task, op.online.OverlapODE(**EXACT), save=save)
    fast = op.solve(task, op.online.ModalODE(**EXACT), save=save)
    assert fast.variables == full.variables
    for name in ("Q", "M", "loss", "alignment"):
        np.testing.assert_allclose(fast[name].values, full[name].values, atol=1e-8)
    if draws:
        assert np.ptp(full["loss"].values[:, -1]) > 1e-6  # starts differ
    for event in ("plateau_time", "escape_time", "convergence_time"):
        if event in full.variables:
            np.testing.assert_allclose(fast[event].values, full[event].values, atol=1e-5)


def test_a_blow_up_is_a_verdict():
    found = op.solve(problem(2, 2, learning_rate=3.0), op.online.ModalODE(), throw=False)
    assert found.verdict is Verdict.DIVERGED
    assert np.isnan(found["M"].values[-1]).all()


def test_alignment_of_each_mode_is_logistic_in_gradient_flow():
    task = problem(2, 2)
    flow = op.online.ModalODE(sgd_noise=False, **EXACT)
    found = op.solve(task, flow, save=op.SavePlan(steps=8))
    left, values, right = np.linalg.svd(task.start.M)
    Q, M = found["Q"].values, found["M"].values
    q = np.einsum("ki,tkl,li->ti", left[:, :2], Q, left[:, :2])
    mu = np.einsum("ki,tkm,im->ti", left[:, :2], M, right)
    theta, rate = 1.3, 8 * 0.2 / 2 / 2 * 1.3
    x = values**2 / (0.8 - values**2 / theta)
    growth = np.exp(-rate * found["time"].values)[:, None]
    np.testing.assert_allclose(mu**2 / (theta * q), 1 / (1 + theta / x * growth), atol=1e-8)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"activation": "erf_scaled"}, "quadratic"),
        ({"second_layer": [1.0, 2.0]}, "`A`"),
        ({"teacher_second_layer": [1.0, 2.0]}, "`B`"),
        ({"second_layer_rate": 0.1}, "trained"),
        ({"spectrum": op.online.InputSpectrum([2.0, 0.5])}, "spectrum"),
        ({"start": op.online.random_overlaps(2, 2, 40)}, "`Q`"),
        ({"start": op.online.Overlaps(np.eye(2), np.zeros((2, 2)), np.diag([1.0, 2.0]))}, "`T`"),
        (
            {"start": op.online.Overlaps(np.eye(2), np.zeros((2, 2))), "spherical": True},
            "spherical",
        ),
    ],
)
def test_problems_whose_modes_change_are_refused(changes, words):
    start = {"start": op.online.random_overlaps(2, 2, 40, student="orthogonal")}
    with pytest.raises(UnsupportedCombination, match=words):
        op.solve(op.online.TeacherStudent(**(start | changes)), op.online.ModalODE())
