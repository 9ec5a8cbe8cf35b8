"""Many points in one compiled call: the same answers as one by one."""

from dataclasses import replace

import numpy as np
import pytest

import orderparam as op
from orderparam.engine import together
from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.kernels import MLP, Causal
from orderparam.results import Verdict

DATA = op.data.gaussian(count=3, dimension=6, seed=2)
PROBLEM = op.kernels.KernelEvolution(MLP(2, "tanh"), DATA, learning_rate=0.3, steps=10)


@pytest.mark.parametrize("capacity", [16, pytest.param(None, marks=pytest.mark.validate)])
def test_points_equal_separate_solves(monkeypatch, capacity):
    grown = []
    original = together.grown
    monkeypatch.setattr(together, "grown", lambda *args: grown.append(1) or original(*args))
    method = Causal(512, 2, 1e-4, capacity=capacity)
    found = op.kernels.batched(
        PROBLEM, gamma0=[0.5, 2.0], learning_rate=[0.2, 0.6], method=method, progress=False
    )
    assert list(found) == [(0.5, 0.2), (0.5, 0.6), (2.0, 0.2), (2.0, 0.6)]
    assert bool(grown) == (capacity is not None)
    # With room from the beginning: to grow once more alone would compile once more.
    method = Causal(512, 2, 1e-4, capacity=capacity and 2 * capacity)
    for gamma0, rate in ((0.5, 0.2), (2.0, 0.6)):
        alone = op.kernels.KernelEvolution(
            MLP(2, "tanh"), DATA, gamma0=gamma0, learning_rate=rate, steps=10
        )
        solved = op.solve(alone, method, progress=False, throw=False)
        point = found[gamma0, rate]
        assert point.problem == solved.problem
        assert point.diagnostics["ranks"] == solved.diagnostics["ranks"]
        for name in ("f", "Phi", "G", "ntk_se"):
            np.testing.assert_allclose(point[name], solved[name], rtol=1e-8, atol=1e-10)


def test_predictions_of_an_approximation_follow_its_own_program():
    method = op.kernels.GradientIndependence(256, 2, 1e-2, accuracy=0.5)
    problem = op.kernels.KernelEvolution(MLP(1, "tanh"), DATA, learning_rate=0.5, steps=6)
    found = op.kernels.batched(problem, gamma0=[2.0], method=method, progress=False)[2.0, 0.5]
    alone = op.solve(replace(problem, gamma0=2.0), method, progress=False)
    np.testing.assert_allclose(found["f"], alone["f"], rtol=1e-8, atol=1e-10)
    with pytest.raises(UnsupportedCombination, match="momentum"):
        op.kernels.batched(replace(problem, momentum=0.5), method=method, progress=False)


def test_a_point_that_diverges_does_not_stop_the_others():
    problem = op.kernels.KernelEvolution(MLP(1, "linear"), DATA, steps=40)
    found = op.kernels.batched(
        problem,
        learning_rate=[0.2, 60.0],
        method=Causal(256, 2, 1e-3, accuracy=0.1),
        progress=False,
    )
    verdicts = [solution.verdict for solution in found.values()]
    assert verdicts == [Verdict.CONVERGED, Verdict.DIVERGED]


def test_what_a_sweep_cannot_do_is_said_first():
    with pytest.raises(UnsupportedCombination, match="call solve"):
        op.kernels.batched(PROBLEM, save=op.SavePlan(two_time=True))
    with pytest.raises(InvalidProblem, match="at least 1"):
        op.kernels.batched(PROBLEM, gamma0=[])
    with pytest.raises(InvalidProblem, match="gamma0"):
        op.kernels.batched(PROBLEM, gamma0=[1.0, -1.0])
