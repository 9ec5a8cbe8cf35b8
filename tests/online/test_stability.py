"""The largest stable learning rate: against the closed form, and against runs beside it."""

import numpy as np
import pytest

import orderparam as op
from orderparam.errors import UnsupportedCombination


@pytest.mark.parametrize(("p", "q"), [pytest.param(1, 1, marks=pytest.mark.validate), (3, 2)])
def test_stability_limit_equals_the_closed_form(p, q):
    start = op.online.Overlaps(np.eye(p), 0.1 * np.eye(p, q))
    task = op.online.TeacherStudent(start)
    closed = op.online.isotropic(task).critical_learning_rate
    assert op.online.critical_learning_rate(task) == pytest.approx(closed, rel=1e-5)


def test_stability_limit_of_any_teacher():
    layers = {"second_layer": [1.0, 0.5], "teacher_second_layer": [0.7, 1.2]}
    start = op.online.Overlaps(np.eye(2), 0.1 * np.eye(2), np.diag([2.0, 0.5]))
    limit = op.online.critical_learning_rate(op.online.TeacherStudent(start, **layers))
    scaled = np.sqrt(np.array([0.7, 1.2]) / 2) * np.eye(2) / np.sqrt([[1 / 2], [0.5 / 2]])
    Q, M = scaled @ start.T @ scaled.T, scaled @ start.T
    near = op.online.Overlaps(Q + 0.002 * np.eye(2), M, start.T)
    ratio = {}
    for share in (0.95, 1.05):
        task = op.online.TeacherStudent(near, learning_rate=share * limit, duration=60.0, **layers)
        loss = op.solve(task, save=op.SavePlan(steps=7), throw=False)["loss"].values
        ratio[share] = loss[-1] / loss[1]
    assert ratio[0.95] < 1 < ratio[1.05]


@pytest.mark.parametrize(("wrong", "match"), [
    ({"activation": "erf_scaled"}, "erf"), ({"weight_decay": 0.1}, "weight decay"),
    ({"second_layer": [-1.0]}, "not positive"), ({"centering": 0.3}, "constant"),
])  # fmt: skip
def test_stability_limit_needs_a_solution(wrong, match):
    task = op.online.TeacherStudent(op.online.Overlaps([[1.0]], [[0.1]]), **wrong)
    with pytest.raises(UnsupportedCombination, match=match):
        op.online.critical_learning_rate(task)
