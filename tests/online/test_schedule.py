"""Learning-rate schedules: exact consequences for the equations, and what is refused."""

import json

import numpy as np
import pytest

import orderparam as op
from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.online.evidence.measures import rebuilt

START = op.online.Overlaps(
    Q=[[1.0, 0.1], [0.1, 0.8]], M=[[0.3, 0.1], [-0.2, 0.4]], T=[[1.2, 0.1], [0.1, 0.9]]
)
FACTORS = (1.0, 0.25, 0.25, 0.5)


def problem(**changes):
    settings = {"learning_rate": 0.2, "duration": 8.0, "label_noise": 0.1} | changes
    return op.online.TeacherStudent(START, **settings)


@pytest.mark.parametrize(
    "schedule", [pytest.param(FACTORS, marks=pytest.mark.validate), lambda t: 1 / (1 + t / 3)]
)
def test_gradient_flow_depends_on_the_integrated_rate_alone(schedule):
    """State at t with a schedule = state of a constant rate at the integral of the factor."""
    task = problem(schedule=schedule)
    times = np.array([0.0, 1.3, 2.0, 3.9, 6.5, 8.0])
    clock = task.schedule.integral(8.0, times)
    if callable(schedule):
        np.testing.assert_allclose(clock, 3 * np.log1p(times / 3), atol=1e-8)
    flow = op.online.OverlapODE(sgd_noise=False, rtol=1e-10, atol=1e-12)
    found = op.solve(task, flow, save=op.SavePlan(times=tuple(times)))
    steady = op.solve(problem(), flow, save=op.SavePlan(times=tuple(clock)))
    np.testing.assert_allclose(found["M"].values, steady["M"].values, atol=1e-8)
    np.testing.assert_allclose(found["Q"].values, steady["Q"].values, atol=1e-8)
    X, known = op.online.conserved_matrix(
        task, times, *(found[name].values for name in ("Q", "M", "T"))
    )
    assert known[:3].all()
    np.testing.assert_allclose(X[known], np.broadcast_to(X[0], X[known].shape), rtol=1e-5)


def test_parts_are_runs_at_constant_rates_one_after_the_other():
    """With SGD noise and a trained second layer, which follow the schedule too."""
    changes = {"second_layer_rate": 0.5, "weight_decay": 0.05, "momentum": 0.3}
    save = op.SavePlan(times=(0.0, 2.0))
    found = op.solve(
        problem(schedule=FACTORS, **changes), save=op.SavePlan(times=(0.0, 2.0, 4.0, 6.0, 8.0))
    )
    start, layer = START, None
    for part, factor in enumerate(FACTORS):
        rates = {"learning_rate": 0.2 * factor, "second_layer_rate": 0.5 * factor}
        task = op.online.TeacherStudent(
            start, duration=2.0, label_noise=0.1, second_layer=layer, **(changes | rates)
        )
        end = op.solve(task, save=save)
        for name in ("Q", "M", "A", "loss"):
            last = found[name].values[part + 1]
            np.testing.assert_allclose(end[name].values[-1], last, atol=2e-8)
        start = op.online.Overlaps(end["Q"].values[-1], end["M"].values[-1], START.T)
        layer = 2 * end["A"].values[-1]


def test_a_rate_that_falls_as_the_inverse_time_removes_the_floor():
    """eta = 1/(5 + t/4): the loss falls below the floor of the constant rate, like 1/t."""
    start = op.online.Overlaps(np.eye(2), np.eye(2))
    settings = {"learning_rate": 0.2, "duration": 800.0, "label_noise": 0.1}
    steady = op.online.TeacherStudent(start, **settings)
    falling = op.online.TeacherStudent(start, schedule=lambda t: 1 / (1 + t / 20), **settings)
    floor = op.online.isotropic(steady).noise_floor()
    loss = op.solve(falling, save=op.SavePlan(times=(400.0, 800.0)))["loss"].values
    assert loss[1] < 0.05 * floor
    assert loss[1] / loss[0] == pytest.approx(0.5, abs=0.05)


def test_the_frame_that_is_selected_does_not_depend_on_the_schedule():
    start = op.online.random_overlaps(2, 2, 1000, student="orthogonal", seed=3)
    task = op.online.TeacherStudent(
        start, learning_rate=0.2, duration=500.0, schedule=(0.3, 1.0, 1.0, 0.5)
    )
    end = op.solve(task, save=op.SavePlan(steps=2))["M"].values[-1]
    np.testing.assert_allclose(end, op.online.selected_solution(task).overlaps.M, atol=1e-6)


def test_formulas_of_a_constant_rate_refuse_a_schedule():
    task = problem(schedule=FACTORS)
    task = op.online.TeacherStudent(op.online.random_overlaps(2, 2, 99), schedule=FACTORS)
    for formula in (op.online.isotropic, op.online.escape_law):
        with pytest.raises(UnsupportedCombination, match="schedule"):
            formula(task)
    # Nor are there events, whose levels come from these formulas.
    theory = op.solve(task, save=op.SavePlan(steps=3))
    assert "escape_time" not in theory.variables
    # The stability limit does not depend on the problem's own rate.
    single = op.online.TeacherStudent(op.online.Overlaps([[1.0]], [[0.1]]), schedule=FACTORS)
    assert op.online.critical_learning_rate(single) == pytest.approx(1 / 6, rel=1e-5)


@pytest.mark.parametrize("schedule", [FACTORS, np.cos, op.kernels.cosine(5)])
def test_schedules_survive_their_configuration(schedule):
    task = problem(schedule=schedule, duration=1.5)
    stored = json.loads(json.dumps(task.config()))["schedule"]
    again = problem(schedule=stored, duration=1.5).schedule.polynomial(1.5)
    at = np.linspace(0, 1.5, 7)
    np.testing.assert_array_equal(again(at), task.schedule.polynomial(1.5)(at))
    if callable(schedule):
        np.testing.assert_allclose(again(at), np.cos(at), atol=1e-6)
    else:
        middles = (np.arange(len(schedule)) + 0.5) * 1.5 / len(schedule)
        np.testing.assert_array_equal(again(middles), schedule)


def test_a_schedule_is_read_back_from_results():
    task = problem(schedule=np.cos, duration=1.5)
    again = rebuilt(op.solve(task, save=op.SavePlan(steps=2))).schedule
    assert again.kind == "curve"
    np.testing.assert_array_equal(again.values, task.schedule.values)


@pytest.mark.parametrize("schedule", [(), (1.0, -0.1), (1.0, np.nan), lambda t: -t, lambda t: None])
def test_bad_schedules_are_refused(schedule):
    with pytest.raises(InvalidProblem, match="schedule"):
        problem(schedule=schedule)
