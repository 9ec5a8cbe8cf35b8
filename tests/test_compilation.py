"""A second call compiles nothing: programs are keyed by what they compute, not by the call."""

import inspect
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from jax import monitoring

import orderparam as op

DATA = op.data.gaussian(count=3, dimension=6, seed=1)
MIXTURE = op.mixtures.isotropic(2)
POINT = op.data.from_arrays(np.ones((1, 1)), np.ones(1))
START = op.online.Overlaps(np.eye(2), 0.5 * np.eye(2))
compiled: list[str] = []


def _note(event, duration, **_):
    if event == "/jax/core/compile/backend_compile_duration":
        compiled.append(event)


@pytest.fixture(scope="module", autouse=True)
def listening():
    monitoring.register_event_duration_secs_listener(_note)
    yield
    monitoring.clear_event_listeners()


def kernels(activation="tanh", data=DATA):
    return op.kernels.KernelEvolution(op.kernels.MLP(1, activation), data, steps=4)


def mixture(loss="logistic", penalty="l2"):
    return op.mixtures.MixtureERM(MIXTURE, loss, penalty, alpha=2.0)


def online(activation="quadratic"):
    return op.online.TeacherStudent(START, activation, duration=1.0)


SOLVED = {
    "causal": (kernels(), op.kernels.Causal(128, 2, 1e-2, accuracy=1.0)),
    "exact-linear": (kernels("linear"), op.kernels.ExactLinear()),
    "static-ntk": (kernels(), op.kernels.StaticNTK()),
    "perturbation": (kernels(), op.kernels.Perturbation()),
    "saddle": (mixture(), op.mixtures.SaddlePoint()),
    "messages": (op.mixtures.MessagePassing(MIXTURE, steps=3), op.mixtures.StateEvolution()),
    "influence": (
        op.fluctuations.FiniteWidth(kernels()),
        op.fluctuations.Influence(64, 2, accuracy=10.0),
    ),
    "action": (
        op.fluctuations.FiniteWidth(kernels("linear", POINT)),
        op.fluctuations.Action(accuracy=10.0),
    ),
    "lazy": (op.fluctuations.FiniteWidth(kernels()), op.fluctuations.Lazy(64, 2)),
    "ode": (online(), op.online.OverlapODE()),
    "ode-smooth": (online("tanh"), op.online.OverlapODE()),
}


@pytest.mark.parametrize("name", SOLVED)
def test_methods_of_values_are_pythons_own(name):
    """A module of Equinox for each look-up took a third of a solve of a single point."""
    problem, method = SOLVED[name]
    bound = (problem.config, method.config, method.run, method.solve, method.estimate)
    assert all(map(inspect.ismethod, bound))


@pytest.mark.parametrize("name", SOLVED)
def test_estimates_count_compilation(name):
    guess = op.estimate(*SOLVED[name])
    assert guess.compilation > 0
    assert str(guess).endswith("s of compilation the first time")


def test_estimates_of_networks_count_their_layers():
    shallow, deep = (
        op.estimate(op.kernels.KernelEvolution(op.kernels.MLP(depth), DATA)) for depth in (1, 4)
    )
    assert 2 < deep.compilation / shallow.compilation < 4  # measured: 11.8 s for 3.6 s


@pytest.mark.validate
@pytest.mark.parametrize("name", SOLVED)
def test_compilation_takes_about_what_was_said(name):
    """In a process of its own, where nothing was compiled before."""
    task, method = SOLVED[name]
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        spent = pool.submit(first_and_second, task, method).result()
    guess = op.estimate(task, method).compilation
    assert guess / 5 < spent[0] - spent[1] < 5 * guess, (guess, spent)


def first_and_second(task, method):
    """Processor seconds of two solves alike."""
    spent = []
    for _ in range(2):
        began = time.process_time()
        op.solve(task, method, progress=False, throw=False)
        spent.append(time.process_time() - began)
    return spent


@pytest.mark.parametrize("name", SOLVED)
def test_a_second_solve_compiles_nothing(name):
    problem, method = SOLVED[name]
    compiled.clear()
    op.solve(problem, method, progress=False, throw=False)
    assert compiled or name == "exact-linear", "the listener hears nothing"
    compiled.clear()
    op.solve(problem, method, seed=1, progress=False, throw=False)
    assert not compiled


def squared(y, z):
    return (y - z) ** 2 / 2


TRAINED = {
    "networks": (kernels(), {"width": [8]}),
    "fits": (mixture(op.mixtures.CustomLoss(squared)), {"dimension": 20}),
    "students": (online(), {"dimension": 20}),
}


@pytest.mark.parametrize("name", TRAINED)
def test_a_second_experiment_compiles_nothing(name):
    problem, sizes = TRAINED[name]
    op.simulate(problem, seeds=1, progress=False, **sizes)
    compiled.clear()
    op.simulate(problem, seeds=1, seed=1, progress=False, **sizes)
    assert not compiled


def test_one_program_serves_one_point_many_and_other_numbers_of_blocks():
    """Blocks fill a few sizes, and points are taken one after another."""
    make = op.mixtures.MixtureERM
    two, three = (op.mixtures.blocks([0.5] * n, [1 / n] * n) for n in (2, 3))
    op.solve(make(two, "hinge", alpha=2.0), progress=False)
    compiled.clear()
    op.solve(make(two, "hinge", alpha=np.linspace(1.0, 3.0, 70)), progress=False)
    op.solve(make(three, "hinge", alpha=[1.0, 2.0]), progress=False)
    assert not compiled
