"""Ensembles of networks: what they measure, and what they refuse."""

import numpy as np
import pytest

import orderparam as op
from orderparam.errors import CapacityExceeded, InvalidProblem
from orderparam.fluctuations.experiment.scatter import scaled_deviations

QUIET = {"progress": False}
DATA = op.data.Data([[1.0, 0.5], [-0.3, 1.2]], [1.0, -1.0], [[0.4, -0.8]], [1.0])


def problem(activation="linear", depth=1):
    network = op.kernels.MLP(depth, activation)
    evolution = op.kernels.KernelEvolution(network, DATA, learning_rate=0.3, steps=4)
    return op.fluctuations.FiniteWidth(evolution)


def test_variances_are_unbiased_and_know_heavy_tails():
    rng = np.random.default_rng(0)
    values = rng.standard_t(5, (2, 40, 3))
    valid = np.ones((2, 40), dtype=bool)
    valid[1, 30:] = False
    values[1, 30:] = np.nan
    found = scaled_deviations(values, valid, np.array([8, 32]), np.ones(3))
    for row, width, count in ((0, 8, 40), (1, 32, 30)):
        runs, nvar = values[row, :count], found["_nvar"][row, :count]
        np.testing.assert_allclose(nvar.mean(axis=0), width * runs.var(axis=0, ddof=1))
        centred = runs - runs.mean(axis=0)
        kurtosis = (centred**4).mean(axis=0) / (centred**2).mean(axis=0) ** 2 - 3
        error = nvar.std(axis=0) / np.sqrt(count)
        np.testing.assert_allclose(error, nvar.mean(axis=0) * np.sqrt((kurtosis + 2) / count))
        np.testing.assert_allclose(found["_shift"][row, :count], width * (runs - 1))


def test_ensembles_hold_networks_of_kernels():
    """The networks are those of kernel evolution, whatever number is trained at once."""
    deep = problem("tanh", depth=2)
    asked = {"width": 8, "seeds": 3, "precision": "float64", **QUIET}
    nets, plain = op.simulate(deep, **asked), op.simulate(deep.evolution, **asked)
    for name in ("f", "Phi", "G", "ntk", "loss", "alignment"):
        np.testing.assert_allclose(nets[name], plain[name], atol=1e-12)
        assert nets[f"{name}_nvar"].dims == plain[name].dims


def test_ensembles_refuse_what_has_no_spread():
    with pytest.raises(InvalidProblem, match="at least 2 networks"):
        op.simulate(problem(), width=8, seeds=1, **QUIET)
    other = op.fluctuations.FiniteWidth(
        op.kernels.KernelEvolution(op.kernels.MLP(1, "linear"), DATA, gamma0=0.5, steps=4)
    )
    method = op.fluctuations.Influence(64, 2, shift=False, accuracy=10.0)
    limit = op.solve(other, method, **QUIET)
    with pytest.raises(InvalidProblem, match="`limit`"):
        op.simulate(problem(), width=8, seeds=2, limit=limit, **QUIET)
    with pytest.raises(CapacityExceeded):
        op.simulate(problem(), width=8, seeds=10**12, **QUIET)


def test_the_contract_of_families_holds():
    method = op.fluctuations.Influence(64, 2, shift=False, accuracy=10.0)
    checks = op.check_theory(problem(), method, width=[8, 16], seeds=3)
    assert checks[-1] == "experiment"
