"""Methods beside the causal one: each against a route of its own."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

import orderparam as op
from orderparam.errors import (
    CapacityExceeded,
    InvalidProblem,
    NotConverged,
    UnsupportedCombination,
)
from orderparam.kernels import MLP, Batches, ResNet
from orderparam.kernels.methods.perturbation_ends import biases_of
from orderparam.kernels.theory.pack import Trajectory
from orderparam.results import Verdict


def linear(depth, std, steps=20):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((12, 5)).T
    data = op.data.from_arrays(x, np.sign(rng.standard_normal(5)), x[:2] / 2)
    network = MLP(depth, "linear", weight_std=std)
    return op.kernels.KernelEvolution(network, data, gamma0=1.5, learning_rate=0.1, steps=steps)


@pytest.mark.parametrize(("depth", "std"), [(1, 0.8), (2, 1.3), (3, 1.0)])
def test_matrix_equations_equal_the_exact_space(depth, std):
    problem = linear(depth, std)
    exact = op.solve(problem, progress=False)
    closed = op.solve(problem, op.kernels.LinearKernels(), progress=False)
    for name in ("f", "Phi", "G", "ntk", "loss"):
        np.testing.assert_allclose(closed[name], exact[name], atol=1e-11)


def test_matrix_equations_refuse_what_they_cannot_hold():
    with pytest.raises(CapacityExceeded, match="7000 here"):
        op.solve(linear(2, 1.0, steps=1000), op.kernels.LinearKernels(), progress=False)
    nonlinear = op.kernels.KernelEvolution(MLP(2), linear(2, 1.0).data)
    with pytest.raises(UnsupportedCombination, match="deep linear networks"):
        op.solve(nonlinear, op.kernels.LinearKernels(), progress=False)
    with pytest.raises(InvalidProblem, match="above 0 and below 1"):
        op.kernels.LinearKernels(0.0)


def lazy(network, loss="squared", **settings):
    data = op.data.gaussian(count=6, dimension=6, test_count=2, seed=1)
    if loss == "softmax":
        data = op.data.from_arrays(data.x, np.eye(3)[np.arange(6) % 3], data.x_test)
    return op.kernels.KernelEvolution(
        network, data, gamma0=1e-4, learning_rate=0.3, steps=20, loss=loss, **settings
    )


def validated(*values):
    """A further case of a claim, of which another case is always tested."""
    return pytest.param(*values, marks=pytest.mark.validate)


@pytest.mark.parametrize(
    "problem",
    [
        lazy(MLP(2, "erf", biases=True, bias_std=0.5), momentum=0.5),
        validated(lazy(ResNet(2, "erf", biases=True), "softmax", batches=Batches(2, "random"))),
        validated(lazy(MLP(2, "erf", weight_std=1.2))),
        validated(
            lazy(
                ResNet(2, "erf", branch_exponent=1.0), batches=Batches(3), schedule=[1.0, 0.5] * 10
            )
        ),
    ],
)
def test_the_static_kernel_is_the_lazy_limit(problem):
    method = op.kernels.Causal(samples=4096, replicates=4, tolerance=1e-5)
    sampled = op.solve(problem, method, progress=False)
    static = op.solve(problem, op.kernels.StaticNTK(), progress=False)
    for name in ("f", "Phi", "G", "ntk"):
        gap = np.sqrt(np.mean((sampled[name] - static[name]).values ** 2))
        assert gap < 4 * np.sqrt(np.mean(sampled[f"{name}_se"].values ** 2)) + 1e-6
    assert "f_se" not in static
    moved = np.abs(static["f"].values[-1]).max()
    assert moved > 0.1


def test_the_static_kernel_follows_fresh_data():
    data = op.data.teacher(count=60, dimension=4, test_count=3, seed=1)
    problem = op.kernels.KernelEvolution(
        MLP(1, "erf"), data, gamma0=0.05, learning_rate=0.5, steps=20,
        batches=Batches(3, "one_pass"),
    )  # fmt: skip
    sampled = op.solve(problem, op.kernels.Causal(8192, 4, 1e-6, accuracy=0.1), progress=False)
    static = op.solve(problem, op.kernels.StaticNTK(), progress=False)
    assert sampled["f"].shape == static["f"].shape == (20, 3)
    for name in ("f", "Phi"):
        gap = np.sqrt(np.mean((sampled[name] - static[name]).values ** 2))
        # What gamma0 = 0.05 changes is of relative order gamma0^2.
        assert gap < 4 * np.sqrt(np.mean(sampled[f"{name}_se"].values ** 2)) + 0.0025


def test_the_static_kernel_says_what_it_cannot_do():
    for kind in ("relu", "tanh"):
        solution = op.solve(lazy(MLP(1, kind)), op.kernels.StaticNTK(), progress=False)
        assert solution.verdict.ok
        assert "kinks" not in solution.message
    clipped = lazy(MLP(2, lambda h: jnp.clip(h, -0.3, 0.3)))
    solution = op.solve(clipped, op.kernels.StaticNTK(), progress=False, throw=False)
    assert solution.verdict is Verdict.ERROR_TOO_LARGE
    assert "kinks" in solution.message
    assert float(solution.error("ntk").min()) > 0
    with pytest.raises(UnsupportedCombination, match="weight decay"):
        op.solve(lazy(MLP(1), weight_decay=0.1), op.kernels.StaticNTK(), progress=False)
    with pytest.raises(UnsupportedCombination, match="equal-time"):
        op.solve(
            lazy(MLP(1)), op.kernels.StaticNTK(), save=op.SavePlan(two_time=True), progress=False
        )


@pytest.mark.parametrize(("depth", "gamma0", "rate", "right"), [
    (1, 2.0, 0.02, True), (1, 2.0, 0.8, False),
    validated(2, 0.05, 0.8, True), validated(2, 2.0, 0.02, False),
])  # fmt: skip
def test_gradient_independence_is_right_in_its_limits(depth, gamma0, rate, right):
    problem = op.kernels.KernelEvolution(
        MLP(depth, "tanh"), op.data.gaussian(count=4, dimension=8, test_count=1, seed=2),
        gamma0=gamma0, learning_rate=rate, steps=round(4 / rate),
    )  # fmt: skip
    settings = {"samples": 1024, "replicates": 2, "tolerance": 1e-3, "accuracy": 0.1}
    full = op.solve(problem, op.kernels.Causal(**settings), progress=False)
    dropped = op.solve(problem, op.kernels.GradientIndependence(**settings), progress=False)
    assert dropped.method["name"] == "gradient-independence"
    gap = np.sqrt(np.mean((full["f"] - dropped["f"]).values ** 2))
    error = np.sqrt(np.mean(full["f_se"].values ** 2 + dropped["f_se"].values ** 2))
    # Half a percent of |f| <= 1 is what the finite rate or strength leaves.
    assert (gap < 3 * error + 0.005) == right


def test_gradient_independence_refuses_what_its_kernel_does_not_drive():
    method = op.kernels.GradientIndependence(64, 2)
    for wrong in ({"momentum": 0.5}, {"weight_decay": 0.1}):
        with pytest.raises(UnsupportedCombination, match=next(iter(wrong)).replace("_", " ")):
            op.solve(lazy(MLP(1), **wrong), method, progress=False)


SMALL = op.kernels.KernelEvolution(
    MLP(2, "erf", weight_std=1.1), op.data.gaussian(count=2, dimension=4, test_count=1, seed=2),
    gamma0=2.0, learning_rate=0.5, steps=10,
)  # fmt: skip


def away(first, second, name):
    """Root-mean-square gap of two sampled results in combined standard errors."""
    gap = np.sqrt(np.mean((first[name] - second[name]).values ** 2))
    squares = [np.mean(s[f"{name}_se"].values ** 2) for s in (first, second)]
    return gap / np.sqrt(sum(squares))


def test_alternating_sampling_is_a_second_route():
    causal = op.solve(SMALL, op.kernels.Causal(2048, 4, 1e-6), progress=False)
    settings = {"samples": 512, "replicates": 4, "tolerance": 1e-5, "accuracy": 0.1}
    alternating = op.solve(SMALL, op.kernels.Alternating(**settings), progress=False)
    assert alternating.verdict is Verdict.CONVERGED
    residuals = np.array(alternating.diagnostics["residuals"][0])
    assert residuals[-1] <= 1e-5 < residuals[0]
    # The bias of a finite number of draws is known beside what the rounds leave.
    assert 1e-3 < alternating.diagnostics["draws_bias"] < 0.1
    assert float(alternating["f_bias"].max()) > 10 * residuals[-1]
    without = op.kernels.Alternating(**settings, response=False)
    wrong = op.solve(SMALL, without, progress=False)
    for name in ("f", "Phi", "G", "ntk"):
        assert away(causal, alternating, name) < 3
    assert away(causal, wrong, "f") > 6
    dropped = op.solve(SMALL, op.kernels.Causal(2048, 4, 1e-6, response=False), progress=False)
    assert away(dropped, wrong, "f") < 3


def test_alternating_sampling_says_when_it_has_not_converged():
    few = op.kernels.Alternating(samples=128, replicates=2, rounds=3)
    with pytest.raises(NotConverged, match="last round changed"):
        op.solve(SMALL, few, progress=False)
    damped = op.kernels.Alternating(samples=128, replicates=2, rounds=3, damping=0.5)
    first, second = (op.solve(SMALL, m, progress=False, throw=False) for m in (few, damped))
    assert first.verdict is second.verdict is Verdict.NOT_CONVERGED
    assert not np.array_equal(first["f"], second["f"])
    # What the last round still changed is a bias, in units of the largest value at each time.
    change = max(history[-1] for history in first.diagnostics["residuals"])
    largest = np.abs(first["f"].values).max(axis=1, keepdims=True)
    assert (first["f_bias"] >= change * largest).all()
    assert (first.error("f") >= first["f_bias"]).all()
    enough = op.kernels.Alternating(samples=128, replicates=2, tolerance=1e-2)
    with pytest.raises(NotConverged, match=r"asked for: 0\.01.* raise `samples`"):
        op.solve(SMALL, enough, progress=False)


def test_alternating_sampling_refuses_what_it_cannot_do():
    method = op.kernels.Alternating(samples=128, replicates=2)
    kinked = op.kernels.KernelEvolution(MLP(2, "relu"), SMALL.data, steps=4)
    with pytest.raises(UnsupportedCombination, match="kinks"):
        op.solve(kinked, method, progress=False)
    long = op.kernels.KernelEvolution(MLP(2, "tanh"), SMALL.data, steps=280)
    with pytest.raises(CapacityExceeded, match="840 here"):
        op.solve(long, method, progress=False)
    heavy = op.kernels.KernelEvolution(MLP(2, "tanh"), SMALL.data, momentum=0.5)
    with pytest.raises(UnsupportedCombination, match="momentum"):
        op.solve(heavy, method, progress=False)
    for wrong in ({"samples": 100}, {"samples": 0}, {"damping": 1.0}, {"rounds": 0}):
        with pytest.raises(InvalidProblem, match=next(iter(wrong))):
            op.kernels.Alternating(**wrong)


def second_order(problem, small=0.02):
    """q_2 of a linear network from the exact method, by a fourth-order difference."""
    strengths = (small, 2 * small)
    near, far = (op.solve(replace(problem, gamma0=g), progress=False) for g in strengths)
    lazy = op.solve(problem, op.kernels.StaticNTK(), progress=False)
    return {
        n: (16 * (near[n] - lazy[n]) - (far[n] - lazy[n])).values / (12 * small**2)
        for n in ("f", "Phi", "G", "ntk")
    }


def test_the_error_of_the_first_kernel_is_a_bias_of_perturbation():
    values = {n: np.ones((2, 3, 1)) for n in ("f",)}
    values |= {n: np.ones((2, *s)) for n, s in (("Phi", (2, 3, 3)), ("G", (2, 3, 3)),
                                                ("ntk", (3, 3)))}  # fmt: skip
    nothing = {name: np.zeros_like(value) for name, value in values.items()}
    runs = [Trajectory(values, 0.0)]
    for quadrature, expected in ((0.0, 0.0), (0.05, 0.05)):
        bias = biases_of(replace(SMALL, steps=2), runs, [nothing], quadrature)
        np.testing.assert_allclose(bias["ntk"], expected)


def test_perturbation_of_a_linear_network_is_exact():
    problem = replace(linear(2, 1.1, steps=12), gamma0=0.8)
    method = op.kernels.Perturbation(2048, 4, 1e-6)
    theory = op.solve(problem, method, progress=False)
    lazy = op.solve(problem, op.kernels.StaticNTK(), progress=False)
    for name, second in second_order(problem).items():
        correction = (theory[name] - lazy[name]).values / 0.8**2
        error = np.sqrt(np.mean(theory[f"{name}_se"].values ** 2)) / 0.8**2
        size = np.sqrt(np.mean(second**2))
        # What the extrapolation leaves is of relative order strength^4.
        assert np.sqrt(np.mean((correction - second) ** 2)) < 4 * error + 0.02 * size
        assert 4 * error + 0.02 * size < 0.2 * size


def test_perturbation_misses_the_fourth_order():
    method, deviations = op.kernels.Perturbation(2048, 4, 1e-6), []
    for gamma0 in (0.5, 1.0):
        problem = replace(SMALL, gamma0=gamma0)
        expanded = op.solve(problem, method, progress=False, throw=False)
        full = op.solve(problem, op.kernels.Causal(2048, 4, 1e-6, accuracy=0.05), progress=False)
        deviations.append(np.abs((expanded["f"] - full["f"]).values).max())
    assert 2.5 < np.log2(deviations[1] / deviations[0]) < 5
    with pytest.raises(UnsupportedCombination, match="kinks"):
        op.solve(lazy(MLP(1, "relu")), method, progress=False)
    with pytest.raises(InvalidProblem, match="strength"):
        op.kernels.Perturbation(strength=0.0)
