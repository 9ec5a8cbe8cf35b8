"""Methods beside the causal one: each against a route of its own."""

import numpy as np
import pytest

import orderparam as op
from orderparam.errors import CapacityExceeded, InvalidProblem, UnsupportedCombination
from orderparam.kernels import MLP, Batches, ResNet


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
    with pytest.raises(InvalidProblem, match="between 0 and 1"):
        op.kernels.LinearKernels(0.0)


def lazy(network, loss="squared", **settings):
    data = op.data.gaussian(count=6, dimension=6, test_count=2, seed=1)
    if loss == "softmax":
        data = op.data.from_arrays(data.x, np.eye(3)[np.arange(6) % 3], data.x_test)
    return op.kernels.KernelEvolution(
        network, data, gamma0=1e-4, learning_rate=0.3, steps=20, loss=loss, **settings
    )


@pytest.mark.parametrize(
    "problem",
    [
        lazy(MLP(2, "erf", weight_std=1.2)),
        lazy(MLP(2, "erf", biases=True, bias_std=0.5), momentum=0.5),
        lazy(ResNet(2, "erf", biases=True), "softmax", batches=Batches(2, "random")),
        lazy(ResNet(2, "erf", branch_exponent=1.0), batches=Batches(3), schedule=[1.0, 0.5] * 10),
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
        MLP(1, "erf"), data, gamma0=1e-4, learning_rate=0.5, steps=20,
        batches=Batches(3, "one_pass"),
    )  # fmt: skip
    sampled = op.solve(problem, op.kernels.Causal(8192, 4, 1e-6), progress=False)
    static = op.solve(problem, op.kernels.StaticNTK(), progress=False)
    assert sampled["f"].shape == static["f"].shape == (20, 3)
    # f(0) of fresh samples is not known to be zero to the sampled theory, only on average.
    gap = np.sqrt(np.mean((sampled["Phi"] - static["Phi"]).values ** 2))
    assert gap < 4 * np.sqrt(np.mean(sampled["Phi_se"].values ** 2))


def test_the_static_kernel_says_what_it_cannot_do():
    with pytest.raises(UnsupportedCombination, match="weight decay"):
        op.solve(lazy(MLP(1), weight_decay=0.1), op.kernels.StaticNTK(), progress=False)
    with pytest.raises(UnsupportedCombination, match="equal-time"):
        op.solve(
            lazy(MLP(1)), op.kernels.StaticNTK(), save=op.SavePlan(two_time=True), progress=False
        )


def test_gradient_independence_is_right_for_one_layer_only():
    data = op.data.gaussian(count=4, dimension=8, seed=2)
    settings = {"samples": 1024, "replicates": 2, "tolerance": 1e-3}
    for depth, equal in ((1, True), (2, False)):
        network = MLP(depth, "tanh")
        problem = op.kernels.KernelEvolution(network, data, gamma0=2.0, learning_rate=0.2, steps=20)
        full = op.solve(problem, op.kernels.Causal(**settings), progress=False)
        dropped = op.solve(problem, op.kernels.GradientIndependence(**settings), progress=False)
        assert np.array_equal(full["f"], dropped["f"]) == equal
        assert dropped.method["name"] == "gradient-independence"
