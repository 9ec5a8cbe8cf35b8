"""The causal and exact methods: reference values, independent routes, errors, settings."""

import warnings

import jax
import numpy as np
import pytest
from scipy import stats

import orderparam as op
from orderparam.errors import (
    CapacityExceeded,
    Diverged,
    InvalidProblem,
    NotConverged,
    UnsupportedCombination,
)
from orderparam.kernels.theory.initial import initial_kernels, stable_learning_rate
from orderparam.results import Verdict

FAST = op.kernels.Causal(samples=1024, replicates=2, tolerance=1e-3, accuracy=0.1)


def evolution(network, count=4, dimension=8, **settings):
    data = op.data.gaussian(count=count, dimension=dimension, seed=2)
    settings = {"learning_rate": 0.2, "steps": 8, **settings}
    return op.kernels.KernelEvolution(network, data, **settings)


def b0(steps=100):
    x = np.random.default_rng(0).standard_normal((25, 10)).T
    data = op.data.from_arrays(x, np.r_[-np.ones(5), np.ones(5)])
    network = op.kernels.MLP(3, op.kernels.scaled_tanh(0.8))
    return op.kernels.KernelEvolution(network, data, gamma0=1.0, learning_rate=0.1, steps=steps)


def deep_linear(**settings):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((12, 5)).T
    data = op.data.from_arrays(x, np.sign(rng.standard_normal(5)))
    settings = {"gamma0": 1.5, "learning_rate": 0.1, "steps": 60, **settings}
    return op.kernels.KernelEvolution(op.kernels.MLP(3, "linear"), data, **settings)


@pytest.mark.validate
def test_b0_reference_values():
    method = op.kernels.Causal(samples=2048, replicates=4, tolerance=3e-4, accuracy=0.02)
    theory = op.solve(b0(), method, progress=False)
    reference = {10: 0.7851, 30: 0.2769, 60: 0.01573, 99: 0.003389}
    for step, value in reference.items():
        # The truncation bias, known to the result, adds to its standard error.
        error = float(theory["mse_se"][step]) + theory.diagnostics["truncation_bias"] / 3
        assert abs(float(theory["mse"][step]) - value) < 4 * error < 0.02
    traces = np.trace(theory["Phi"].values[99], axis1=1, axis2=2) / 10
    np.testing.assert_allclose(traces, [0.5081, 0.4118, 0.4840], atol=0.004)


def test_deep_linear_reference_values():
    theory = op.solve(deep_linear(), progress=False)
    expected = [0.191648586, 4.16987563e-4, 4.15605124e-5, 5.05620564e-6]
    np.testing.assert_allclose(theory["mse"].values[[5, 20, 40, 59]], expected, rtol=2e-9)


@pytest.mark.validate  # test_verdicts.py has a fast form
def test_exact_and_sampled_agree_on_a_linear_network():
    problem = deep_linear(steps=6)
    exact = op.solve(problem, save=op.SavePlan(two_time=True), progress=False)
    method = op.kernels.Causal(samples=1024, replicates=2, tolerance=1e-9)
    sampled = op.solve(problem, method, save=op.SavePlan(two_time=True), progress=False)
    for name in ("mse", "Phi", "G", "ntk", "Phi_two", "G_two"):
        np.testing.assert_allclose(sampled[name], exact[name], rtol=1e-3, atol=1e-4)
    diagonal = np.einsum("ltt...->tl...", exact["Phi_two"].values)
    np.testing.assert_allclose(diagonal, exact["Phi"], atol=1e-12)


def test_two_steps_by_hand_for_one_hidden_layer():
    """h(1) = u + (eta gamma0/P) Phi^0 (Delta g): the recursion of Yang & Hu by quadrature."""
    problem = evolution(op.kernels.MLP(1, "tanh"), count=1, gamma0=1.5, steps=2, learning_rate=0.7)
    method = op.kernels.Causal(samples=8192, replicates=4, tolerance=1e-6)
    theory = op.solve(problem, method, progress=False)
    (y,), ((kernel,),) = problem.data.y, problem.data.gram()
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    u, w = np.meshgrid(np.sqrt(kernel) * nodes, nodes, indexing="ij")
    measure = np.outer(weights, weights) / weights.sum() ** 2
    rate = 0.7 * 1.5 * y
    h = u + rate * kernel * w / np.cosh(u) ** 2
    readout = w + rate * np.tanh(u)
    f = np.sum(measure * readout * np.tanh(h)) / 1.5
    feature = np.sum(measure * np.tanh(h) ** 2)
    for name, value in (("f", f), ("Phi", feature)):
        got, error = theory[name].values[1].ravel()[0], theory[f"{name}_se"].values[1].ravel()[0]
        assert abs(got - value) < 5 * error + 1e-5
        assert error < 2e-3


@pytest.mark.parametrize(
    ("depth", "name"),
    [
        (1, "gelu"),
        *(pytest.param(*case, marks=pytest.mark.validate) for case in ((2, "gelu"), (3, "tanh"))),
    ],
)
def test_initial_kernels_by_quadrature(depth, name):
    problem = evolution(op.kernels.MLP(depth, name, weight_std=1.2), steps=1)
    theory = op.solve(problem, op.kernels.Causal(samples=4096, tolerance=1e-5), progress=False)
    with jax.enable_x64(True):
        Phi, G, tangent = initial_kernels(problem.network, problem.data.gram())[:3]
    for key, value in (("Phi", Phi), ("G", G), ("ntk", tangent)):
        gap = np.abs(theory[key].values[0] - value)
        assert np.sqrt(np.mean(gap**2)) < 4 * np.sqrt(np.mean(theory[f"{key}_se"].values[0] ** 2))


def lazy_solution(problem):
    with jax.enable_x64(True):
        tangent = initial_kernels(problem.network, problem.data.gram())[2]
    P = problem.data.count
    decay = np.eye(P) - problem.learning_rate * tangent / P
    return problem.data.y - np.linalg.matrix_power(decay, problem.steps - 1) @ problem.data.y


@pytest.mark.validate
def test_lazy_limit_is_static_kernel_regression():
    problem = evolution(op.kernels.MLP(2, "erf"), gamma0=1e-4, steps=20)
    theory = op.solve(problem, op.kernels.Causal(samples=4096, tolerance=1e-6), progress=False)
    gap = theory["f"].values[-1] - lazy_solution(problem)
    assert np.sqrt(np.mean(gap**2)) < 4 * np.sqrt(np.mean(theory["f_se"].values[-1] ** 2))


@pytest.mark.validate
def test_error_bars_cover_the_exact_answer():
    """Over 200 seeds the nominal 95 % interval must cover 91 to 98 % of the time."""
    problem = evolution(op.kernels.MLP(2, "erf"), count=3, gamma0=1e-4, steps=6)
    exact = lazy_solution(problem)
    method = op.kernels.Causal(samples=256, replicates=4, tolerance=1e-4)
    width = stats.t.ppf(0.975, df=3)
    save, hits = op.SavePlan(steps=[5]), []
    for seed in range(200):
        theory = op.solve(problem, method, save=save, seed=seed, progress=False, throw=False)
        gap = np.abs(theory["f"].values[0] - exact)
        hits.append(gap < width * theory["f_se"].values[0])
    assert 0.91 <= np.mean(hits) <= 0.98


def test_every_verb_works_in_double_precision_and_leaves_the_setting_alone():
    assert not jax.config.jax_enable_x64
    problem = evolution(op.kernels.MLP(1, "tanh"))
    theory = op.solve(problem, FAST, progress=False)
    networks = op.simulate(problem, width=[32, 48, 64], seeds=2, progress=False)
    op.compare(theory, networks)
    op.estimate(problem, FAST)
    op.citation(theory)
    assert not jax.config.jax_enable_x64
    assert jax.numpy.ones(1).dtype == jax.numpy.float32
    for name in theory.variables:
        assert theory[name].dtype == np.float64


def test_one_seed_gives_one_result_and_another_gives_another():
    problem = evolution(op.kernels.MLP(2, "tanh"))
    first, again = (op.solve(problem, FAST, progress=False) for _ in range(2))
    other = op.solve(problem, FAST, seed=1, progress=False)
    assert np.array_equal(first["f"], again["f"])
    assert not np.array_equal(first["f"], other["f"])


@pytest.mark.parametrize("depth", [1, pytest.param(2, marks=pytest.mark.validate)])
def test_passive_test_inputs_change_nothing(depth):
    network = op.kernels.MLP(depth, "tanh")
    data = op.data.gaussian(count=4, dimension=8, test_count=3, seed=2)
    alone = op.data.from_arrays(data.x, data.y)
    method = op.kernels.Causal(samples=2048, replicates=4, tolerance=1e-4, accuracy=0.02)
    both = [
        op.solve(op.kernels.KernelEvolution(network, d, steps=12), method, progress=False)
        for d in (data, alone)
    ]
    gap = both[0]["mse"].values - both[1]["mse"].values
    error = np.hypot(both[0]["mse_se"].values, both[1]["mse_se"].values)
    assert np.sqrt(np.mean(gap**2)) < 4 * np.sqrt(np.mean(error**2))
    assert "test_mse" in both[0]
    assert both[0]["f"].sizes["sample"] == 7


def test_bad_settings_are_refused_before_work():
    with pytest.raises(InvalidProblem, match="replicates"):
        op.kernels.Causal(replicates=1)
    with pytest.raises(InvalidProblem, match="tolerance"):
        op.kernels.Causal(tolerance=0.0)
    with pytest.warns(UserWarning, match="raised to 128"):
        assert op.kernels.Causal(samples=100).samples == 128
    with pytest.raises(UnsupportedCombination, match="linear"):
        op.solve(evolution(op.kernels.MLP(2, "tanh")), op.kernels.ExactLinear())
    tiny = op.kernels.Causal(samples=64, replicates=2, tolerance=1e-6)
    with pytest.raises(CapacityExceeded, match="samples"):
        op.solve(evolution(op.kernels.MLP(2, "tanh"), steps=30), tiny, progress=False)
    with pytest.raises(InvalidProblem, match="seed"):
        op.solve(evolution(op.kernels.MLP(2, "tanh")), FAST, seed=-1)
    with pytest.raises(InvalidProblem, match="SavePlan asks for the steps"):
        op.solve(evolution(op.kernels.MLP(2, "tanh")), FAST, save=op.SavePlan(steps=[99]))


@pytest.mark.parametrize(
    ("name", "value"),
    [("gamma0", 0.0), ("gamma0", np.nan), ("learning_rate", -1.0), ("steps", 0), ("steps", True)],
)
def test_bad_problems_are_refused(name, value):
    with pytest.raises(InvalidProblem, match=name):
        evolution(op.kernels.MLP(2, "tanh"), **{name: value})


def test_unstable_learning_rates_warn_and_stop():
    problem = evolution(op.kernels.MLP(1, "linear"), learning_rate=40.0, steps=60)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(Diverged, match="step"):
            op.solve(problem, FAST, progress=False)
    assert any("stability limit" in str(w.message) for w in caught)
    assert stable_learning_rate(2.0 * np.eye(4)) == 4.0


def test_a_result_that_misses_its_accuracy_says_so():
    problem = evolution(op.kernels.MLP(1, "relu"), gamma0=2.0, steps=30)
    coarse = op.kernels.Causal(samples=256, replicates=2, tolerance=0.09)
    with pytest.raises(NotConverged, match="throw=False"):
        op.solve(problem, coarse, progress=False)
    result = op.solve(problem, coarse, progress=False, throw=False)
    assert result.verdict is Verdict.ERROR_TOO_LARGE
