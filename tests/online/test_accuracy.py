"""The error of the integration is estimated, stands beside every variable, and is judged."""

import numpy as np
import pytest

import orderparam as op
from orderparam.online import ModalODE, OverlapODE, TeacherStudent, random_overlaps
from orderparam.results import Verdict

START = random_overlaps(students=2, teachers=2, dimension=1000, student="orthogonal", seed=1)
TASK = TeacherStudent(START, learning_rate=0.05, duration=150.0)


@pytest.mark.parametrize(
    ("method", "settings"),
    [(OverlapODE, {}), (ModalODE, {}), (OverlapODE, {"sgd_noise": False})],
    ids=["ode", "modes", "flow"],
)
def test_the_error_of_loose_steps_is_covered(method, settings):
    save = op.SavePlan(steps=31)
    loose = op.solve(TASK, method(1e-4, 1e-6, **settings), save=save)
    exact = op.solve(TASK, method(1e-12, 1e-13, **settings), save=save)
    for name in ("Q", "M", "loss", "alignment", "escape_time", "convergence_time"):
        gap = np.abs((loose[name] - exact[name]).values).max()
        bias = float(loose[f"{name}_bias"].max())
        assert 0 < gap < bias, name
        assert bias < 0.05 * np.abs(exact[name].values).max(), name
        assert float(exact[f"{name}_bias"].max()) < 1e-3 * bias, name
    np.testing.assert_array_equal(loose["Q_bias"].isel(time=0), 0)
    error = loose.diagnostics["integration_error"]
    assert error == pytest.approx(float(loose["loss_bias"].max() / loose["loss"].max()))


def test_steps_that_are_too_long_are_not_called_accurate():
    loose = op.solve(TASK, OverlapODE(1e-4, 1e-6, accuracy=1e-6), throw=False)
    assert loose.verdict is Verdict.ERROR_TOO_LARGE
    assert "lower `rtol` and `atol`" in loose.message
