"""Convolutional networks: descriptions, exact and static methods, what results hold."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import orderparam as op
from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.kernels import CNN, Batches
from orderparam.kernels.experiment.convolutional_networks import convolution


def problem(network, gamma0=1.0, **settings):
    dimension = network.channels * network.positions
    data = op.data.gaussian(count=3, dimension=dimension, test_count=1, seed=1)
    settings = {"learning_rate": 0.3, "steps": 6, **settings}
    return op.kernels.KernelEvolution(network, data, gamma0=gamma0, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shape": (2, 2, 2)}, "height and a width"),
        ({"shape": (0, 4)}, "at least 1"),
        ({"shape": 2, "kernel_size": 3}, "larger than its inputs"),
        ({"shape": 4, "kernel_size": 0}, "kernel_size"),
        ({"shape": 4, "channels": True}, "channels"),
        ({"shape": 4, "readout": "mean"}, "'pooled', 'flattened'"),
        ({"shape": 4, "padding": "same"}, "'circular', 'zero'"),
    ],
)
def test_descriptions_that_are_refused(settings, message):
    with pytest.raises(InvalidProblem, match=message):
        CNN(2, **settings)


def test_what_cannot_be_asked_for():
    network = CNN(1, shape=(2, 3), kernel_size=2)
    data = op.data.gaussian(count=3, dimension=7)
    with pytest.raises(InvalidProblem, match=r"1 x 2 x 3 .* dimension 7"):
        op.kernels.KernelEvolution(network, data)
    task = problem(CNN(1, shape=3))
    with pytest.raises(UnsupportedCombination, match="standard"):
        op.simulate(task, width=8, seeds=1, parameterization="standard", progress=False)
    with pytest.raises(UnsupportedCombination, match="CNN"):
        op.solve(task, op.kernels.Alternating(), progress=False)


# The fast form of the second is in tests/agreement/test_cnn.py.
@pytest.mark.parametrize(
    "readout", ["pooled", pytest.param("flattened", marks=pytest.mark.validate)]
)
def test_two_steps_at_one_time_are_the_kernels_of_that_step(readout):
    network = CNN(2, "linear", shape=3, readout=readout)
    data = op.data.gaussian(count=3, dimension=3, test_count=1, seed=1)
    labelled = op.data.from_arrays(data.x, np.eye(3)[:, :2], data.x_test, None)
    task = op.kernels.KernelEvolution(network, labelled, learning_rate=0.3, steps=4, loss="squared")
    save = op.SavePlan(steps=(0, 3), two_time=True, fields_at=(3,))
    exact = op.solve(task, save=save, progress=False)
    trained = op.simulate(task, width=8, seeds=1, save=save, progress=False, precision="float64")
    for result in (exact, trained.dataset.isel(width=0, seed=0)):
        for name in ("Phi", "G"):
            two = result[f"{name}_two"]
            assert two.dims == ("layer", "time", "time_", *result[name].dims[2:])
            at_once = np.einsum("lttxy...->tlxy...", two.values)
            np.testing.assert_allclose(at_once, result[name].values, atol=1e-10)
    assert trained["h"].dims == ("field_time", "layer", "sample", "position", "neuron")


def test_positions_that_filters_look_at():
    assert CNN(1, shape=4).taps() == ((3, 0, 1, 2), (0, 1, 2, 3), (1, 2, 3, 0))
    assert CNN(1, shape=3, padding="zero").taps() == ((-1, 0, 1), (0, 1, 2), (1, 2, -1))
    assert CNN(1, shape=(2, 2), kernel_size=2).taps()[3] == (3, 2, 1, 0)
    image = np.arange(12.0).reshape(1, 12)
    patches = CNN(1, shape=(2, 3), channels=2, kernel_size=1).patches(image)
    np.testing.assert_allclose(patches[0, 4] * 2**0.5, [4.0, 10.0])


def test_the_convolution_is_that_of_jax():
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        x = jnp.asarray(rng.standard_normal((2, 3, 6, 5)))
        filters = jnp.asarray(rng.standard_normal((4, 3, 3, 2)))
        expected = jax.lax.conv(x, filters, (1, 1), "VALID")
        np.testing.assert_allclose(convolution(x, filters), expected, atol=1e-12)
        expected = jax.lax.conv_general_dilated(x[..., 0], filters[..., 0], (1,), "VALID")
        np.testing.assert_allclose(convolution(x[..., 0], filters[..., 0]), expected, atol=1e-12)


def test_linear_convolutions_are_exact():
    """Exact spaces against samples."""
    task = problem(CNN(2, "linear", shape=4, biases=True), gamma0=2.0, learning_rate=0.5)
    exact = op.solve(task, progress=False)
    assert exact.method["name"] == "exact-linear"
    sampled = op.solve(task, op.kernels.Causal(2048, 2, 1e-9), progress=False)
    for name in ("f", "Phi", "G", "ntk"):
        np.testing.assert_allclose(sampled[name], exact[name], rtol=2e-3, atol=1e-3)


def test_predictions_that_kernels_drive_do_not_depend_on_what_is_saved():
    task = problem(CNN(1, "erf", shape=3, kernel_size=2), gamma0=1.0, learning_rate=1.0)
    method = op.kernels.GradientIndependence(256, 2, 1e-2, accuracy=0.5)
    every, two = (op.solve(task, method, save=op.SavePlan(steps=n), progress=False) for n in (6, 2))
    assert np.abs(every["f"].values[-1]).max() > 0.01
    np.testing.assert_array_equal(every["f"].values[[0, -1]], two["f"].values)


@pytest.mark.validate
def test_a_single_position_is_the_fully_connected_network():
    single = problem(CNN(2, "linear", shape=1, channels=5, kernel_size=1))
    plain = op.kernels.KernelEvolution(op.kernels.MLP(2, "linear"), single.data, 1.0, 0.3, 6)
    one, other = (op.solve(p, progress=False) for p in (single, plain))
    for name in ("f", "Phi", "G", "ntk"):
        np.testing.assert_allclose(one[name], other[name], atol=1e-10)


@pytest.mark.parametrize(
    ("network", "settings"),
    [
        (CNN(2, "erf", shape=(2, 2), kernel_size=2, biases=True, bias_std=0.5), {}),
        pytest.param(
            CNN(2, "erf", shape=4, readout="flattened", padding="zero", weight_std=1.3),
            {"momentum": 0.4, "batches": Batches(3, "given")},
            marks=pytest.mark.validate,
        ),
    ],
)
def test_the_static_kernel_is_the_lazy_limit(network, settings):
    # Small enough for corrections of order gamma0^2, and large enough for f = <w, phi>/gamma0 not
    # to drown in the noise of samples.
    task = problem(network, gamma0=0.01, **settings)
    method = op.kernels.Causal(samples=2048, replicates=3, tolerance=1e-5, accuracy=0.05)
    sampled = op.solve(task, method, progress=False)
    static = op.solve(task, op.kernels.StaticNTK(), progress=False)
    for name in ("f", "Phi", "G", "ntk"):
        gap = np.sqrt(np.mean((sampled[name] - static[name]).values ** 2))
        assert gap < 4 * np.sqrt(np.mean(sampled[f"{name}_se"].values ** 2)) + 1e-4
    assert np.abs(static["f"].values[-1]).max() > 0.02
    wrong = CNN(**{**{"depth": 2, "activation": "erf"}, "shape": network.shape, "kernel_size": 1})
    other = op.solve(problem(wrong, 0.01), op.kernels.StaticNTK(), progress=False)
    gap = np.sqrt(np.mean((sampled["ntk"] - other["ntk"]).values ** 2))
    assert gap > 10 * np.sqrt(np.mean(sampled["ntk_se"].values ** 2))
