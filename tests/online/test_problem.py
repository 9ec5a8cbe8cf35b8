"""What a problem, a method and an experiment refuse, and what they report."""

import re

import jax
import numpy as np
import pytest

import orderparam as op
from orderparam.errors import Diverged, InvalidProblem, UnsupportedCombination
from orderparam.results import Verdict

START = op.online.Overlaps(Q=[[1.0, 0.1], [0.1, 0.8]], M=[[0.3, 0.1], [0.2, -0.1]])


def problem(**changes):
    return op.online.TeacherStudent(START, **changes)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"duration": -1.0}, "duration"),
        ({"label_noise": -0.1}, "label_noise"),
        ({"activation": "quadratc"}, "Did you mean 'quadratic'"),
        ({"normalisation": 0.0}, "normalisation"),
        ({"normalisation": "with"}, "Did you mean 'width'"),
        ({"second_layer": [1.0]}, "give one for each"),
        ({"centering": "constnt"}, "centering"),
        ({"centering": "constant", "activation": "erf_scaled"}, "quadratic"),
        ({"momentum": 1.0}, "momentum"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"batch_size": 0}, "batch_size"),
        ({"spherical": True}, "Q_kk"),
    ],
)
def test_bad_values_are_refused(changes, word):
    with pytest.raises(InvalidProblem, match=word):
        problem(**changes)


@pytest.mark.parametrize(
    ("arguments", "error", "word"),
    [
        ({"dimension": 10, "seeds": 0}, InvalidProblem, "seeds"),
        ({"seeds": 1}, InvalidProblem, "dimension"),
        ({"dimension": [10, 10], "seeds": 1}, InvalidProblem, "once"),
        ({"dimension": [10, 20], "seeds": [1]}, InvalidProblem, "for each of 2 sizes"),
        ({"dimension": 2, "seeds": 1}, InvalidProblem, "at least 4"),
        ({"dimension": 2, "seeds": 1, "simulator": "chain"}, InvalidProblem, "at least 4"),
        ({"dimension": 9, "seeds": 1, "width": 3}, InvalidProblem, "width"),
        ({"dimension": 9, "seeds": 1, "simulator": "chan"}, InvalidProblem, "chain"),
        ({"dimension": 9, "seeds": 1, "precision": "half"}, InvalidProblem, "precision"),
        ({"dimension": 9, "seeds": 1, "inputs": np.ones((4, 9))}, InvalidProblem, "different rows"),
        ({"dimension": 9, "seeds": 1, "inputs": np.eye(4)}, InvalidProblem, "columns"),
        ({"dimension": 9, "seeds": 1, "inputs_as": "set"}, InvalidProblem, "inputs_as"),
        (
            {"dimension": 9, "seeds": 1, "inputs": np.eye(9), "simulator": "chain"},
            UnsupportedCombination,
            "Gaussian inputs",
        ),
    ],
)
def test_bad_experiments_are_refused(arguments, error, word):
    with pytest.raises(error, match=word):
        op.simulate(problem(duration=1.0), progress=False, **arguments)


def test_large_batches_and_momentum_in_the_chain_are_refused():
    with pytest.raises(InvalidProblem, match="batch_size"):
        op.simulate(problem(batch_size=20), dimension=100, seeds=1)
    with pytest.raises(UnsupportedCombination, match="direct"):
        op.simulate(problem(momentum=0.5), dimension=100, seeds=1, simulator="chain")


def test_a_blow_up_is_an_error_or_a_verdict_never_silent():
    wild = problem(learning_rate=3.0, duration=20.0)
    with pytest.raises(Diverged, match="without bound"):
        op.solve(wild)
    theory = op.solve(wild, throw=False)
    assert theory.verdict is Verdict.DIVERGED
    assert np.isnan(theory["loss"].values[-1])
    runs = op.simulate(wild, dimension=50, seeds=3, simulator="chain")
    assert not runs["run_valid"].values.any()
    assert (runs["diverged_time"].values < 20).all()
    assert runs.verdict is Verdict.DIVERGED


def test_too_few_steps_keep_what_there_is():
    """Values up to the stop are those of a full run, later ones NaN, and the verdict says so."""
    single = op.online.TeacherStudent(
        op.online.Overlaps([[1.0]], [[0.2]]), activation="relu", learning_rate=0.5, duration=20.0
    )
    few = op.solve(single, op.online.OverlapODE(max_steps=8), throw=False)
    assert few.verdict is Verdict.NOT_CONVERGED
    assert "max_steps" in few.message
    known = np.isfinite(few["loss"].values)
    assert 3 < known.sum() < len(known)
    assert not known[np.argmin(known) :].any()
    full = op.solve(single)["M"].values
    np.testing.assert_allclose(few["M"].values[known], full[known], atol=1e-12)


def test_relu_students_at_zero_stay_there():
    """The derivative of max(0, u) is 0 at 0, as in the finite network."""
    zero = op.online.Overlaps(np.zeros((1, 1)), np.zeros((1, 1)))
    task = op.online.TeacherStudent(zero, activation="relu", learning_rate=0.5, duration=20.0)
    with pytest.warns(UserWarning, match=r"M\(0\) = 0"):
        theory = op.solve(task)
    np.testing.assert_array_equal(theory["loss"].values, 0.25)


def test_starts_without_overlap_are_warned_of_where_they_are_kept():
    def solved(start, **changes):
        task = op.online.TeacherStudent(start, learning_rate=0.1, duration=2.0, **changes)
        return op.solve(task, save=op.SavePlan(steps=2))

    blank = op.online.Overlaps(np.eye(2), np.zeros((2, 2)))
    with pytest.warns(UserWarning, match="1 of 1 starts"):
        theory = solved(blank)
    assert "no teacher is ever learned" in theory.message
    assert not solved(op.online.Overlaps(np.eye(2), 0.1 * np.eye(2))).message.count("M(0)")


def test_events_do_not_depend_on_the_duration():
    start = op.online.random_overlaps(2, 2, 1000, student="orthogonal", seed=1)
    found = []
    for duration in (400.0, 1e4, 5e4):
        task = op.online.TeacherStudent(start, learning_rate=0.05, duration=duration)
        theory = op.solve(task, save=op.SavePlan(steps=2))
        events = ("plateau_time", "escape_time", "convergence_time")
        found.append([float(theory[name]) for name in events])
    np.testing.assert_allclose(found[0], (6.257, 36.824, 118.90), atol=5e-3)
    np.testing.assert_allclose(found[1:], np.broadcast_to(found[0], (2, 3)), rtol=1e-12)


def test_a_loss_that_rises_far_above_its_start_is_not_called_converged():
    start = op.online.Overlaps(1.01 * np.eye(2), np.eye(2))
    limit = op.online.isotropic(op.online.TeacherStudent(start)).critical_learning_rate
    task = op.online.TeacherStudent(start, learning_rate=1.2 * limit, duration=400.0)
    whole = op.solve(task, throw=False)
    assert whole.verdict is Verdict.DIVERGED
    last = float(re.search(r"at time ([\d.]+)", whole.message)[1]) - 5e-4  # norms of about 20
    part = op.online.TeacherStudent(start, learning_rate=1.2 * limit, duration=last)
    cut = op.solve(part, throw=False)
    assert np.isfinite(cut["loss"].values).all()
    assert cut.verdict is Verdict.DIVERGED


def test_results_are_double_and_the_setting_is_left_alone():
    assert not jax.config.jax_enable_x64
    small = problem(duration=1.0)
    theory = op.solve(small, save=op.SavePlan(steps=3))
    runs = op.simulate(small, dimension=20, seeds=2, save=op.SavePlan(steps=3))
    assert not jax.config.jax_enable_x64
    for name in theory.variables:
        assert theory[name].dtype == np.float64
    assert runs["Q"].dtype == np.float64
    assert theory["loss"].values == pytest.approx(theory["mse"].values / 2)
    again = op.simulate(small, dimension=20, seeds=2, save=op.SavePlan(steps=3))
    np.testing.assert_array_equal(runs["Q"].values, again["Q"].values)
    more = op.simulate(small, dimension=[20, 30], seeds=[2, 1], save=op.SavePlan(steps=3))
    np.testing.assert_allclose(more["Q"].sel(dimension=20).values, runs["Q"].values[0], rtol=1e-5)
    assert more["run_valid"].values.tolist() == [[True] * 2, [True, False]]


def test_save_plans_in_continuous_time():
    plan = op.SavePlan(steps=5, spacing="log").times_until(10.0)
    np.testing.assert_allclose(plan[2:] / plan[1:-1], 10 ** (4 / 3))
    assert plan[0] == 0
    assert op.SavePlan(times=(1.0, 0.5)).times_until(1.0).tolist() == [0.5, 1.0]
    for bad in ({"times": (2.0,)}, {"times": ()}, {"steps": 1}, {"spacing": "wide"}):
        with pytest.raises(InvalidProblem):
            op.SavePlan(**bad).times_until(1.0)
