"""Gradient flow: the limit of small steps, in theory and experiment."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm

import orderparam as op
from orderparam.errors import InvalidProblem
from orderparam.kernels import MLP, Batches
from orderparam.kernels.theory import flow
from orderparam.kernels.theory.initial import initial_kernels
from orderparam.results import Verdict

DATA = op.data.gaussian(count=3, dimension=6, seed=2)
TIMES = 0.5 * np.arange(7)


def problem(network, **settings):
    settings = {"gamma0": 1.5, "learning_rate": 0.5, "steps": 7, "gradient_flow": True, **settings}
    return op.kernels.KernelEvolution(network, DATA, **settings)


def test_flow_of_the_static_kernel_is_an_exponential():
    task = problem(MLP(2, "erf"))
    theory = op.solve(task, op.kernels.StaticNTK(), progress=False)
    with jax.enable_x64(True):
        tangent = initial_kernels(task.network, DATA.gram())[2]
    exact = np.stack([DATA.y - expm(-tangent * t / 3) @ DATA.y for t in TIMES])
    gap = np.abs(theory["f"].values - exact).max()
    assert gap < theory.diagnostics["step_error"] <= 1e-3
    # The last refinement stands in the error that is shown and compared.
    assert gap < theory.error("f").values.max() <= 1e-3 * np.abs(exact).max()
    assert theory["loss_bias"].attrs["long_name"] == f"bias of {theory['loss'].attrs['long_name']}"
    assert theory.verdict is Verdict.CONVERGED
    assert theory["time"].values.tolist() == list(range(7))
    # Descent with the steps as given is far from the flow.
    descent = op.solve(replace(task, gradient_flow=False), op.kernels.StaticNTK(), progress=False)
    assert np.abs(descent["f"].values - exact).max() > 0.02


def test_flow_of_one_linear_layer_follows_its_equations():
    """d<hh>, d<wh>, d<ww> close for one hidden linear layer, with <wh> = gamma0 f."""
    task, gram, P = problem(MLP(1, "linear")), DATA.gram(), 3
    rate = task.gamma0 / P

    def velocity(t, state):
        A, b, g = state[:9].reshape(3, 3), state[9:12], state[12]
        delta = DATA.y - b / task.gamma0
        push = gram @ delta
        dA = np.outer(push, b) + np.outer(b, push)
        return rate * np.concatenate([dA.ravel(), A @ delta + g * push, [2 * delta @ b]])

    start = np.concatenate([gram.ravel(), np.zeros(3), [1.0]])
    ode = solve_ivp(velocity, (0, TIMES[-1]), start, t_eval=TIMES, rtol=1e-10, atol=1e-12)
    theory = op.solve(task, progress=False)
    np.testing.assert_allclose(theory["f"].values, ode.y[9:12].T / task.gamma0, atol=2e-3)
    np.testing.assert_allclose(
        theory["Phi"].values[:, 0].reshape(7, 9), ode.y[:9].T, atol=4e-3 * np.abs(ode.y[:9]).max()
    )


def test_the_estimate_counts_the_divided_steps():
    data = op.data.gaussian(count=3, dimension=6, seed=1)
    plain = op.kernels.KernelEvolution(MLP(2), data, learning_rate=0.2, steps=20)
    method = op.kernels.Causal(256, 2)
    one, all_of_them = (
        op.estimate(task, method) for task in (plain, replace(plain, gradient_flow=True))
    )
    steps = sum(19 * division + 1 for division in (1, 2, 4, 8))
    assert all_of_them.seconds == pytest.approx(one.seconds * steps / 20)
    # Each division is another number of steps, hence another program.
    assert all_of_them.compilation == 4 * one.compilation > 0


@pytest.mark.parametrize("depth", [1, pytest.param(2, marks=pytest.mark.validate)])
def test_theory_and_networks_flow_alike(depth):
    task = problem(MLP(depth, "tanh"), gamma0=2.0)
    method = op.kernels.Causal(1024, 4, 1e-4, accuracy=0.1)
    theory = op.solve(task, method, progress=False)
    networks = op.simulate(task, width=(64, 128, 256), seeds=(48, 32, 24), progress=False)
    agreement = op.compare(theory, networks)
    assert agreement.verdict != "fail", str(agreement)
    assert networks.diagnostics["substeps"] >= 4
    # The first of the divisions that theory took, so that nothing is compiled for it.
    descent = op.solve(replace(task, gradient_flow=False), method, progress=False)
    wrong = descent.dataset.assign_attrs(problem=theory.dataset.attrs["problem"])
    assert op.compare(type(descent)(wrong), networks).verdict == "fail"


def test_flow_says_what_it_could_not_do(monkeypatch):
    monkeypatch.setattr(flow, "SUBSTEPS", (1, 2, 4))
    monkeypatch.setattr(flow, "TOLERANCE", 1e-9)
    theory = op.solve(problem(MLP(1, "linear")), progress=False, throw=False)
    assert theory.verdict is Verdict.NOT_CONVERGED
    assert theory.diagnostics["substeps"] == 4
    for wrong in ({"momentum": 0.5}, {"batches": Batches(1)}):
        with pytest.raises(InvalidProblem, match="flow has neither"):
            problem(MLP(1), **wrong)


def test_unstable_steps_are_divided_before_they_are_used():
    task = problem(MLP(1, "linear"), learning_rate=8.0, steps=4)
    theory = op.solve(task, op.kernels.ExactLinear(), progress=False, throw=False)
    assert theory.diagnostics["substeps"] >= 8
    assert np.abs(theory["f"].values[-1] - DATA.y).max() < 0.05
