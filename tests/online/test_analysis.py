"""Plateau, escape, selection, limits: closed forms against integration."""

import contextlib

import jax.numpy as jnp
import numpy as np
import pytest

import orderparam as op
from orderparam.errors import InvalidProblem, NotConverged, UnsupportedCombination
from orderparam.online.theory.integration import Trajectories, _joined
from orderparam.online.theory.moments import State

LONG = op.SavePlan(steps=61)


def isotropic(p, q, share=0.3, dimension=10**6, duration=100.0, **settings):
    """A random orthogonal start at a share of the critical learning rate, width normalised."""
    start = op.online.random_overlaps(p, q, dimension, student="orthogonal", seed=p + 10 * q)
    rate = share * p * q / (2 * (q + 2))
    return op.online.TeacherStudent(start, learning_rate=rate, duration=duration, **settings)


def test_plateau_and_escape_rate():
    """Level and growth of M on the plateau, at a learning rate where both are shifted."""
    wide = op.online.isotropic(isotropic(4, 2, share=0.5))
    assert wide.critical_learning_rate == pytest.approx(1.0)
    assert wide.plateau_norm() == pytest.approx(0.7922, abs=5e-5)
    task = isotropic(2, 2, share=0.5, dimension=10**14, duration=70.0)
    numbers = op.online.isotropic(task)
    theory = op.solve(task, save=LONG)
    assert theory["loss"].values[40] == pytest.approx(numbers.plateau_loss(), rel=1e-4)
    size = np.linalg.norm(theory["M"].values, axis=(1, 2))
    growth = np.diff(np.log(size)) / np.diff(theory["time"].values)
    assert growth[40] == pytest.approx(numbers.escape_rate(), rel=1e-4)
    assert growth[40] < 0.9 * numbers.flow_rate  # finite rate slows the escape


def test_flow_exponent_does_not_depend_on_the_width():
    rates = []
    for p in (1, 3):
        start = op.online.random_overlaps(p, 2, 10**12, student="orthogonal", seed=1)
        task = op.online.TeacherStudent(start, normalisation="one", learning_rate=0.01)
        numbers = op.online.isotropic(task, sgd_noise=False)
        assert numbers.escape_rate() == pytest.approx(numbers.flow_rate)
        rates.append(numbers.escape_rate())
    assert rates[0] == pytest.approx(rates[1])


def test_escape_law_against_integrated_starts():
    """Mean and spread over 400 draws, and the linear constant within its stated accuracy."""
    start = op.online.random_overlaps(2, 2, 10**4, draws=400, student="orthogonal")
    task = op.online.TeacherStudent(start, learning_rate=0.05, duration=140.0)
    times = op.solve(task, op.online.OverlapODE(margin=0.03), save=LONG)["escape_time"].values
    assert np.isfinite(times).all()
    law = op.online.escape_law(task, margin=0.03, sgd_noise=False)
    error = times.std(ddof=1) / np.sqrt(len(times))
    assert abs(times.mean() - law.mean) < 4 * error + 0.1 / (2 * law.rate)
    assert times.std() == pytest.approx(law.std, rel=0.12)
    linear = op.online.escape_law(task, margin=0.03, constant="linear", sgd_noise=False)
    assert abs(linear.mean - law.mean) < 1.0 / (2 * law.rate)
    later = op.online.escape_law(task, 10**6, margin=0.03, sgd_noise=False)
    assert later.mean - law.mean == pytest.approx(np.log(100) / (2 * law.rate))
    assert law.cdf(law.ppf(0.3)) == pytest.approx(0.3)
    grid = np.linspace(law.ppf(1e-9), law.ppf(1 - 1e-9), 4001)
    assert np.trapezoid(law.pdf(grid) * grid, grid) == pytest.approx(law.mean, rel=1e-6)
    assert op.online.escape_law(task, margin=0.03).mean < law.mean


@pytest.mark.parametrize(("p", "q"), [(2, 2), pytest.param(3, 2, marks=pytest.mark.validate)])
def test_polar_factor_is_conserved_and_selected(p, q):
    """Any learning rate, with label noise: conserved to 1e-10, reached to 1e-6 or its tail."""
    noise = {"label_noise": 0.2, "weight_decay": 0.01}
    theory = op.solve(isotropic(p, q, dimension=10**3, **noise), save=LONG)
    factors = op.online.polar_factor(theory["M"].values)
    np.testing.assert_allclose(factors, np.broadcast_to(factors[0], factors.shape), atol=1e-10)
    task = isotropic(p, q, dimension=10**3, duration=400.0 * p * q / 4)
    end = op.solve(task, save=LONG)["M"].values[-1]
    chosen = op.online.selected_solution(task)
    assert chosen.exact
    deviation = np.abs(end - chosen.overlaps.M).max()
    assert deviation < (1e-6 if p == q else 2e-3)
    # A start with Q(0) not a multiple of the identity conserves no polar factor.
    other = op.online.random_overlaps(p, q, 100, seed=1)
    uneven = op.online.TeacherStudent(
        other, learning_rate=task.learning_rate, duration=task.duration
    )
    moved = op.online.polar_factor(op.solve(uneven, save=LONG)["M"].values)
    assert np.abs(moved[-1] - moved[0]).max() > 1e-3


def test_integration_selects_the_polar_factor_where_that_is_exact_and_another_where_not():
    task = isotropic(2, 2, dimension=10**3, duration=400.0)
    polar, reached = (op.online.selected_solution(task, route) for route in ("polar", "ode"))
    np.testing.assert_allclose(reached.O, polar.O, atol=1e-8)
    with pytest.raises(NotConverged, match="duration"):
        op.online.selected_solution(isotropic(2, 2, dimension=10**3, duration=20.0), "ode")
    uneven = op.online.random_overlaps(2, 2, 100, seed=3)
    other = op.online.TeacherStudent(uneven, learning_rate=task.learning_rate, duration=400.0)
    end = op.solve(other)["M"].isel(time=-1).values
    np.testing.assert_allclose(op.online.selected_solution(other, "ode").overlaps.M, end, atol=1e-3)
    assert np.abs(op.online.selected_solution(other).overlaps.M - end).max() > 0.01


def test_a_selected_solution_is_exact_only_where_it_is():
    """Label noise and p < p* shift the size of M, which integration alone has."""
    start = op.online.random_overlaps(2, 2, 1000, student="orthogonal", seed=3)
    plain = op.online.TeacherStudent(start, learning_rate=0.05, duration=2000.0)
    assert op.online.selected_solution(plain).exact
    assert not op.online.selected_solution(plain, "gram_schmidt").exact
    fast = op.online.TeacherStudent(start, learning_rate=0.6)
    assert not op.online.selected_solution(fast).exact  # beyond the critical rate 0.5
    noisy = op.online.TeacherStudent(start, learning_rate=0.1, duration=2000.0, label_noise=0.2)
    assert not op.online.selected_solution(noisy).exact
    ends = [op.online.selected_solution(noisy, route) for route in ("polar", "ode")]
    sizes = [np.linalg.norm(end.overlaps.M, 2) for end in ends]
    assert sizes[0] == pytest.approx(1.0)
    assert 1e-3 < 1 - sizes[1] < 0.1
    np.testing.assert_allclose(ends[0].O, ends[1].O, atol=1e-8)
    floor = op.online.isotropic(noisy).noise_floor()
    assert loss_of(ends[1].overlaps) == pytest.approx(floor, rel=1e-6)
    assert abs(loss_of(ends[0].overlaps)) < 1e-12


def loss_of(state):
    """The loss for A = B = 1/2 from tr D and tr D^2."""
    Q, M, T = state.Q / 2, state.M / 2, state.T / 2
    square = np.trace(Q @ Q) - 2 * np.sum(M * M) + np.trace(T @ T)
    return (np.trace(Q) - np.trace(T)) ** 2 / 2 + square


@pytest.mark.validate
def test_fewer_students_than_teachers_end_where_integration_says():
    start = op.online.random_overlaps(2, 4, 1000, student="orthogonal", seed=3)
    rate = 0.2 * 8 / 12
    task = op.online.TeacherStudent(start, learning_rate=rate, duration=4000.0)
    polar, reached = (op.online.selected_solution(task, route) for route in ("polar", "ode"))
    assert not polar.exact
    assert np.linalg.norm(polar.overlaps.M, 2) == pytest.approx(0.8660, abs=5e-5)
    assert np.linalg.norm(reached.overlaps.M, 2) == pytest.approx(0.8385, abs=5e-5)


def test_critical_rates_are_nominal_and_effective():
    start = op.online.Overlaps(np.eye(2), 0.1 * np.eye(2))
    task = op.online.TeacherStudent(start, momentum=0.6)
    effective = op.online.isotropic(task).critical_learning_rate
    assert effective == pytest.approx(0.5)
    assert op.online.critical_learning_rate(task) == pytest.approx(0.4 * effective, rel=1e-5)


def test_selected_solution_is_the_closest_of_the_manifold():
    start = op.online.random_overlaps(3, 2, 1000, seed=2)
    task = op.online.TeacherStudent(start, normalisation="one")
    best = float(op.online.selected_solution(task).squared_distance)
    rng = np.random.default_rng(0)
    frames = op.online.polar_factor(rng.standard_normal((500, 3, 2)))
    cross = np.einsum("nkm,km->n", frames, start.M)
    distances = np.trace(start.Q) + np.trace(start.T) - 2 * cross
    assert distances.min() > best
    assert distances.min() < best * 1.05  # some sampled point comes near


def test_gram_schmidt_is_selected_for_separated_teachers():
    start = op.online.random_overlaps(2, 2, 10**9, student="orthogonal", teacher_norm=(2.0, 0.7))
    task = op.online.TeacherStudent(start, learning_rate=0.05, duration=2000.0)
    flow = op.online.OverlapODE(sgd_noise=False)
    end = op.solve(task, flow, save=LONG)["M"].values[-1]
    sequential = op.online.selected_solution(task, "gram_schmidt").overlaps.M
    closest = op.online.selected_solution(task).overlaps.M
    assert np.linalg.norm(end - sequential) < 2e-3
    assert np.linalg.norm(end - closest) > 0.1
    assert not op.online.selected_solution(task).exact


def test_general_conserved_matrix():
    """Gradient flow with any T and Q(0); broken by the SGD-noise term."""
    start = op.online.Overlaps(
        [[1.0, 0.2], [0.2, 0.7]], [[0.1, 0.05], [-0.02, 0.08]], [[1.5, 0.2], [0.2, 0.8]]
    )
    task = op.online.TeacherStudent(
        start, learning_rate=0.1, duration=30.0, teacher_second_layer=[1.0, 0.7]
    )
    spread = {}
    for noisy in (False, True):
        theory = op.solve(task, op.online.OverlapODE(sgd_noise=noisy, rtol=1e-11), save=LONG)
        arrays = (theory[name].values for name in ("Q", "M", "T"))
        with pytest.warns(UserWarning, match="drifts") if noisy else contextlib.nullcontext():
            X, known = op.online.conserved_matrix(task, theory["time"].values, *arrays)
        assert known.sum() > 20
        spread[noisy] = np.abs(X[known] / X[0] - 1).max()
    assert spread[False] < 1e-6
    assert spread[True] > 1e-2


def test_noise_floor_and_stability():
    floor_task = isotropic(2, 2, share=0.5, dimension=50, duration=200.0, label_noise=0.1)
    numbers = op.online.isotropic(floor_task)
    end = op.solve(floor_task, save=LONG)["loss"].values[-1]
    assert end == pytest.approx(numbers.noise_floor(), rel=1e-6)
    ratio = {}
    for share in (0.95, 1.05):
        solution = op.online.Overlaps(1.01 * np.eye(2), np.eye(2))
        near = op.online.TeacherStudent(
            solution, learning_rate=share * 0.5, duration=30.0, label_noise=0.0
        )
        loss = op.solve(near, save=LONG, throw=False)["loss"].values
        ratio[share] = np.nan_to_num(loss[-1] / loss[10], nan=np.inf)
    assert ratio[0.95] < 1 < ratio[1.05]


def test_parts_of_a_run_are_joined_where_the_first_one_stopped():
    """The early values up to the stop, the late ones after it; finished runs are left alone."""
    times = jnp.arange(4.0)

    def part(value, finished, reached):
        square = jnp.full((4, 1, 1), value)
        state = State(square, square, jnp.full((4, 1), value))
        return Trajectories(
            states=state,
            events=jnp.full(4, value),
            blown_up=jnp.asarray(False),
            finished=jnp.asarray(finished),
            reached=jnp.asarray(reached),
            steps=jnp.asarray(10),
            end=jnp.asarray(value),
        )

    for finished, expected in ((False, [1.0, 1.0, 2.0, 2.0]), (True, [1.0] * 4)):
        whole = _joined(part(1.0, finished, 1.5), part(2.0, True, 3.0), times)
        assert whole.states.Q[:, 0, 0].tolist() == expected
        assert bool(whole.finished)
        assert int(whole.steps) == (10 if finished else 20)


@pytest.mark.validate
def test_implicit_steps_finish_what_explicit_ones_do_not():
    """The stationary loss of label noise, from where 40 explicit steps stop."""
    start = op.online.Overlaps([[1.0]], [[0.3]])
    task = op.online.TeacherStudent(start, learning_rate=0.05, duration=1e5, label_noise=0.1)
    few = op.solve(task, op.online.OverlapODE(max_steps=40), save=op.SavePlan(steps=4))
    assert 40 < few.diagnostics["steps"] <= 80
    floor = op.online.isotropic(task).noise_floor()
    np.testing.assert_allclose(few["loss"].values[1:], floor, rtol=1e-5)


@pytest.mark.validate
def test_the_tail_of_a_run_that_explicit_steps_do_not_finish():
    """C/t^2 up to t = 1e7, by implicit steps from where the explicit ones stop."""
    task = isotropic(2, 1, dimension=50, duration=1e7)
    late = op.solve(task, op.online.OverlapODE(max_steps=2000), save=op.SavePlan(times=(1e4, 1e7)))
    assert late.diagnostics["steps"] > 2000
    loss, t = late["loss"].values, late["time"].values
    assert np.log(loss[1] / loss[0]) / np.log(t[1] / t[0]) == pytest.approx(-2, abs=0.01)
    amplitude = op.online.isotropic(task).tail_coefficient()
    assert loss[1] * t[1] ** 2 == pytest.approx(amplitude, rel=0.01)


def test_closed_forms_are_refused_where_they_do_not_hold():
    start = op.online.random_overlaps(2, 2, 100)
    bad = {
        "activation": {"activation": "erf_scaled"},
        "`A`": {"second_layer": [1.0, 2.0]},
        "`B`": {"teacher_second_layer": [1.0, -1.0]},
        "weight decay": {"weight_decay": 0.1},
        "trained": {"second_layer_rate": 0.1},
    }
    for word, settings in bad.items():
        with pytest.raises(UnsupportedCombination, match=word):
            op.online.isotropic(op.online.TeacherStudent(start, **settings))
    with pytest.raises(InvalidProblem, match="p >= p"):
        op.online.manifold_dimension(1, 2)
    with pytest.raises(InvalidProblem, match="no escape"):
        op.online.escape_law(op.online.TeacherStudent(start, learning_rate=0.5))
    zero = op.online.TeacherStudent(op.online.Overlaps(np.eye(2), np.zeros((2, 2))))
    with pytest.raises(InvalidProblem, match="full rank"):
        op.online.selected_solution(zero)
    with pytest.raises(InvalidProblem, match="dimension"):
        op.online.hessian_spectrum(zero)
