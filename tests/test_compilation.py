"""A second call compiles nothing: programs are keyed by what they compute, not by the call."""

import numpy as np
import pytest
from jax import monitoring

import orderparam as op

DATA = op.data.gaussian(count=3, dimension=6, seed=1)
MIXTURE = op.mixtures.isotropic(2)
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


def kernels(activation="tanh"):
    return op.kernels.KernelEvolution(op.kernels.MLP(1, activation), DATA, steps=4)


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
    "ode": (online(), op.online.OverlapODE()),
    "ode-smooth": (online("tanh"), op.online.OverlapODE()),
}


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
