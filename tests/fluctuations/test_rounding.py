"""Rectifiers: closed form where they are lazy, networks where they are not."""

import numpy as np
import pytest

import orderparam as op
from orderparam.errors import InvalidProblem, UnsupportedCombination

F = op.fluctuations
STEPS, RATE = 8, 0.1


def problem_of(network, data, **settings):
    evolution = {"learning_rate": RATE, "steps": STEPS, "centered": True} | settings
    return F.FiniteWidth(op.kernels.KernelEvolution(network, data, **evolution))


def line(gamma0):
    data = op.data.from_arrays(np.ones((1, 1)), np.ones(1))
    return problem_of(op.kernels.MLP(1, "relu_normalized"), data, gamma0=gamma0)


def test_lazy_rectifiers_have_their_closed_form():
    method = F.RoundedInfluence(samples=4096, replicates=4, shift=False)
    solution = op.solve(line(0.01), method, progress=False)
    t = np.arange(STEPS)
    # K = 2 with N Var K = 12 stays: df(t) = dK eta t (1 - eta K)^(t - 1) y.
    known = 12 * (RATE * t * (1 - 2 * RATE) ** (t - 1.0)) ** 2
    found, error = solution["f_nvar"].values[:, 0], solution.error("f_nvar").values[:, 0]
    assert np.all(np.abs(found - known) <= 4 * error + 1e-3 * known.max())
    assert error.max() < 0.1 * known.max()
    for name in ("ntk_nvar", "G_nvar", "ntk_shift"):
        assert name not in solution.dataset
    assert "ntk" in solution.dataset


@pytest.mark.validate
@pytest.mark.parametrize("gamma0", [0.5, 1.5])
def test_networks_of_rectifiers_scatter_as_predicted(gamma0):
    x = np.random.default_rng(0).standard_normal((3, 4))
    data = op.data.from_arrays(x[:2], np.array([1.0, -1.0]), x_test=x[2:])
    problem = problem_of(
        op.kernels.MLP(1, "relu_normalized"), data, gamma0=gamma0, learning_rate=0.25, steps=30
    )
    theory = op.solve(problem, F.RoundedInfluence(shift=False), progress=False)
    networks = op.simulate(problem, width=[256], seeds=[2000], progress=False)
    measured = networks["f_nvar"].isel(width=0).mean("seed")
    predicted = theory["f_nvar"].transpose(*measured.dims)
    gap = np.sqrt(np.mean((measured - predicted) ** 2) / np.mean(predicted**2))
    assert float(gap) < 0.08


def test_what_is_no_rectifier_is_refused_by_name():
    with pytest.raises(InvalidProblem, match="rounding"):
        F.RoundedInfluence(rounding=2.0)
    with pytest.raises(InvalidProblem, match="ntk"):
        F.RoundedInfluence(covariance=("ntk",))
    data = op.data.from_arrays(np.ones((1, 1)), np.ones(1))
    with pytest.raises(UnsupportedCombination, match="tanh"):
        op.solve(problem_of(op.kernels.MLP(1, "tanh"), data), F.RoundedInfluence(), progress=False)
    deep = problem_of(op.kernels.MLP(2, "relu"), data)
    with pytest.raises(UnsupportedCombination, match="hidden layers"):
        op.solve(deep, F.RoundedInfluence(), progress=False)
