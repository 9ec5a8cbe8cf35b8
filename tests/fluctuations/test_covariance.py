"""Covariances between times: closed form, variances on the diagonal, networks."""

import numpy as np
import pytest

import orderparam as op
from orderparam.errors import InvalidProblem, UnsupportedCombination

F = op.fluctuations
STEPS, RATE = 8, 0.1


def one_point(gamma0, depth=1):
    data = op.data.from_arrays(np.ones((1, 1)), np.ones(1))
    network = op.kernels.MLP(depth, "linear")
    return F.FiniteWidth(
        op.kernels.KernelEvolution(
            network, data, gamma0=gamma0, learning_rate=RATE, steps=STEPS, centered=True
        )
    )


def test_lazy_networks_have_their_closed_form():
    method = F.Influence(nodes=6, shift=False, covariance=("f", "ntk"))
    solution = op.solve(one_point(1e-3), method, progress=False)
    t = np.arange(STEPS)
    # K = 2 with N Var K = 4 is random and stays: df(t) = dK eta t (1 - eta K)^(t - 1) y.
    answer = RATE * t * (1 - 2 * RATE) ** (t - 1.0)
    found = solution["f_ncov"].values[:, 0, :, 0]
    assert found == pytest.approx(4 * np.outer(answer, answer), rel=1e-4, abs=1e-12)
    assert solution["ntk_ncov"].dims == ("time", "time_", "sample", "sample_")
    assert solution["ntk_ncov"].values == pytest.approx(
        np.full((STEPS, STEPS, 1, 1), 4.0), rel=1e-4
    )


def test_equal_times_are_the_variances_for_several_samples_and_outputs():
    rng = np.random.default_rng(0)
    data = op.data.from_arrays(
        rng.standard_normal((2, 3)), rng.standard_normal((2, 2)), x_test=rng.standard_normal((1, 3))
    )
    evolution = op.kernels.KernelEvolution(
        op.kernels.MLP(1, "tanh"), data, learning_rate=0.3, steps=4
    )
    names = ("f", "Delta", "G", "loss")
    method = F.Influence(samples=64, replicates=2, shift=False, covariance=names)
    solution = op.solve(F.FiniteWidth(evolution), method, progress=False, throw=False)
    f = solution["f_ncov"]
    assert f.dims == ("time", "sample", "output", "time_", "sample_", "output_")
    assert np.einsum("tiatia->tia", f.values) == pytest.approx(solution["f_nvar"].values)
    flat = f.values.reshape(24, 24)
    assert flat == pytest.approx(flat.T)
    assert np.linalg.eigvalsh(flat).min() > -1e-12
    G = solution["G_ncov"].transpose("time", "time_", *solution["G"].dims[1:])
    assert np.einsum("tt...->t...", G.values) == pytest.approx(solution["G_nvar"].values)
    assert np.diag(solution["loss_ncov"].values) == pytest.approx(solution["loss_nvar"].values)
    assert f"{names[0]}_ncov_se" in solution.dataset


@pytest.mark.validate
def test_deep_networks_agree_with_algebra_and_with_networks():
    problem = one_point(1.0, 2)
    exact = op.solve(problem, F.DeepLinear(False, covariance=("f",)), progress=False)
    method = F.LayeredInfluence(shift=False, accuracy=0.2, covariance=("f",))
    sampled = op.solve(problem, method, progress=False)
    assert np.einsum("titi->ti", exact["f_ncov"].values) == pytest.approx(exact["f_nvar"].values)
    a, b = sampled["f_ncov"].values, exact["f_ncov"].values
    error = np.hypot(sampled["f_ncov_se"], sampled["f_ncov_bias"]).max()
    assert np.abs(a - b).max() < 4 * error
    networks = op.simulate(problem, width=[128], seeds=[2000], progress=False)
    values = networks["f"].isel(width=0, sample=0).transpose("seed", "time").values
    measured = 128 * np.cov(values.T)
    deviation = np.sqrt(np.mean((measured - b[:, 0, :, 0]) ** 2) / np.mean(b**2))
    assert deviation < 0.1  # the ensemble's own error is 3 %, 1/N corrections a few more


def test_unknown_and_missing_quantities_are_refused():
    with pytest.raises(InvalidProblem, match="covariance"):
        F.Influence(covariance=("kernel",))
    with pytest.raises(UnsupportedCombination, match="test_loss"):
        op.solve(one_point(1.0), F.Influence(covariance=("test_loss",)), progress=False)
