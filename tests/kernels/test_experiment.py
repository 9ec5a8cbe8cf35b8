"""Finite networks: every number against an independent computation."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from orderparam.contract import SavePlan
from orderparam.data import Data
from orderparam.errors import CapacityExceeded, Diverged, InvalidProblem
from orderparam.kernels.experiment.runs import _group, _task, train_networks
from orderparam.kernels.experiment.simulate import simulate_networks
from orderparam.kernels.experiment.training import start
from orderparam.kernels.model.network import MLP
from orderparam.kernels.problem import KernelEvolution
from orderparam.support.arguments import integers


def problem(depth: int = 2, activation: str = "tanh", weight_std: Any = 1.0, **changes: Any):
    rng = np.random.default_rng(5)
    x = rng.standard_normal((6, 3))
    values = {
        "network": MLP(depth, activation, weight_std),
        "data": Data(x[:4], [1.0, -1.0, 1.0, -0.5], x[4:], [1.0, -1.0]),
        "gamma0": 1.5,
        "learning_rate": 0.1,
        "steps": 6,
        "centered": True,
    }
    return KernelEvolution(**(values | changes))


def weights_of(given: KernelEvolution, width: int, run: int = 0) -> list[np.ndarray]:
    """Initial weights of a run as numpy arrays in double precision."""
    with jax.enable_x64(True):
        state = start(_task(given, "float64", width, "mean_field"), width, 0, [run])
        arrays = [np.asarray(w)[0] for w in (*state.weights["W"], *state.weights["w"])]
        return [*arrays[:-1], arrays[-1][:, 0]]


def run64(given: KernelEvolution, width: Any = 8, seeds: Any = 1, save: Any = None, **options: Any):
    return simulate_networks(
        given, width, seeds, save, precision="float64", progress=False, **options
    )


def forward(weights, x, gamma0, xp):
    """The network of the documentation, written with columns as samples."""
    h, hidden = weights[0] @ x.T / math.sqrt(x.shape[1]), []
    for matrix in weights[1:-1]:
        hidden.append(h)
        h = matrix @ xp.tanh(h) / math.sqrt(len(weights[-1]))
    hidden.append(h)
    return weights[-1] @ xp.tanh(h) / (gamma0 * len(weights[-1])), hidden


def numpy_step(weights, given: KernelEvolution, origin):
    """One step of gradient descent by hand, for the activation tanh."""
    x, y, N = given.data.x, given.data.y, len(weights[-1])
    f, hidden = forward(weights, x, given.gamma0, np)
    pull = (f - origin - y) / len(y)
    rate = given.learning_rate * given.gamma0**2 * N
    new, back = [], pull[None, :] * weights[-1][:, None] / (given.gamma0 * N)
    new.append(weights[-1] - rate * np.tanh(hidden[-1]) @ pull / (given.gamma0 * N))
    for level in range(len(hidden) - 1, -1, -1):
        slope = back * (1 - np.tanh(hidden[level]) ** 2)
        below = np.tanh(hidden[level - 1]) if level else x.T
        fan_in = math.sqrt(N if level else x.shape[1])
        new.insert(0, weights[level] - rate * slope @ below.T / fan_in)
        back = weights[level].T @ slope / fan_in
    return new


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("centered", [True, False])
def test_training_is_the_hand_written_update(depth: int, centered: bool):
    given = problem(depth, centered=centered)
    x = np.concatenate([given.data.x, given.data.x_test])
    weights = weights_of(given, 8)
    f0 = forward(weights, x, given.gamma0, np)[0] * centered
    result = run64(given)
    for step in range(given.steps):
        f, hidden = forward(weights, x, given.gamma0, np)
        np.testing.assert_allclose(result["f"][0, 0, step], f - f0, atol=1e-12)
        error = given.data.y - (f - f0)[:4]
        np.testing.assert_allclose(result["Delta"][0, 0, step], error, atol=1e-12)
        np.testing.assert_allclose(result["loss"][0, 0, step], np.mean(error**2) / 2, rtol=1e-12)
        test_error = given.data.y_test - (f - f0)[4:]
        np.testing.assert_allclose(result["test_mse"][0, 0, step], np.mean(test_error**2))
        phi = np.tanh(hidden)
        expected = np.einsum("lim,lin->lmn", phi, phi) / 8
        np.testing.assert_allclose(result["Phi"][0, 0, step], expected, atol=1e-12)
        weights = numpy_step(weights, given, f0[:4] if centered else 0.0)


@pytest.mark.parametrize("depth", [1, 3])
def test_tangent_kernel_is_that_of_the_parameters(depth: int):
    given = problem(depth, weight_std=0.7, steps=1)
    result = run64(given)
    weights = weights_of(given, 8)
    x = np.concatenate([given.data.x, given.data.x_test])
    with jax.enable_x64(True):
        jacobian = jax.jacobian(lambda w: forward(w, jnp.asarray(x), given.gamma0, jnp)[0])(
            [jnp.asarray(w) for w in weights]
        )
        flat = np.concatenate([np.asarray(j).reshape(len(x), -1) for j in jacobian], axis=1)
    expected = given.gamma0**2 * 8 * flat @ flat.T
    np.testing.assert_allclose(result["ntk"][0, 0, 0], expected, rtol=1e-10)
    K, y = expected[:4, :4], given.data.y
    expected = y @ K @ y / np.linalg.norm(K) / (y @ y)
    np.testing.assert_allclose(result["alignment"][0, 0, 0], expected, rtol=1e-10)


def test_gradient_flow_limit():
    """The tangent kernel drives the predictions: df/dt = K Delta / P at rate η → 0."""
    given = problem(3, learning_rate=1e-5, steps=2)
    result = run64(given)
    K, Delta = result["ntk"][0, 0, 0].values[:, :4], result["Delta"][0, 0, 0].values
    rate = result["f"][0, 0, 1].values / 1e-5
    np.testing.assert_allclose(rate, K @ Delta / 4, rtol=3e-4)


def test_precisions_agree_and_the_callers_setting_stays():
    given = problem(2, steps=20)
    before = jax.config.jax_enable_x64
    results = {p: simulate_networks(given, 8, 2, None, 0, p, False) for p in ("float32", "float64")}
    assert jax.config.jax_enable_x64 == before
    for name in ("f", "Phi", "G", "ntk", "loss"):
        single, double = (results[p][name].values for p in ("float32", "float64"))
        assert single.dtype == double.dtype == np.float64
        np.testing.assert_allclose(single, double, atol=2e-5)
        assert np.abs(single - double).max() > 1e-12
    with jax.enable_x64(True):
        inside = simulate_networks(given, 8, 2, None, 0, "float32", False)
    np.testing.assert_array_equal(inside["f"].values, results["float32"]["f"].values)


def test_a_run_does_not_depend_on_the_others():
    given = problem(2, steps=8)
    together = run64(given, width=[8, 12], seeds=5)
    alone = run64(given, width=12, seeds=2)
    for name in ("f", "Phi", "G"):
        np.testing.assert_array_equal(together[name][1, :2], alone[name][0])
    f = together["f"].values[:, :, -1].reshape(10, -1)
    assert np.unique(f.round(12), axis=0).shape[0] == 10
    other = run64(given, width=12, seeds=1, seed=1)
    assert np.abs(other["f"][0, 0] - alone["f"][0, 0]).max() > 1e-3


def test_groups_blocks_and_grids_change_nothing():
    given = problem(2, steps=40)
    plan = SavePlan()
    plain = train_networks(given, [8], [3], plan, 0, "float32", False)[0]
    blocks = train_networks(given, [8], [3], plan, 0, "float32", False, block_work=1.0)[0]
    np.testing.assert_array_equal(plain["f"], blocks["f"])
    sparse = train_networks(given, [8], [3], SavePlan(steps=[5, 33]), 0, "float32", False)[0]
    np.testing.assert_array_equal(plain["f"][:, :, [5, 33]], sparse["f"])
    pairs = train_networks(given, [8], [3], plan, 0, "float32", False, group=2)[0]
    np.testing.assert_allclose(plain["f"], pairs["f"], atol=1e-5)
    fewer = train_networks(given, [8], [1], plan, 0, "float32", False, group=2)[0]
    np.testing.assert_array_equal(fewer["f"][0, 0], pairs["f"][0, 0])


def test_ragged_seeds_are_marked():
    result = run64(problem(2, steps=2), width=[8, 12], seeds=[3, 1])
    np.testing.assert_array_equal(result["run_valid"], [[True] * 3, [True, False, False]])
    valid = result["run_valid"].values
    for name in ("loss", "f", "ntk", "alignment", "Phi"):
        values = result[name].values.reshape(2, 3, -1)
        np.testing.assert_array_equal(np.isfinite(values).all(axis=-1), valid)
        np.testing.assert_array_equal(np.isnan(values).all(axis=-1), ~valid)


def test_two_time_kernels_and_fields():
    given = problem(2, steps=9)
    plan = SavePlan(steps=[0, 4, 8], two_time=True, fields_at=[8, 4])
    result = run64(given, width=[12, 8], seeds=[2, 1], save=plan)
    assert result["Phi_two"].shape == (2, 2, 2, 3, 3, 6, 6)
    for name in ("Phi", "G"):
        two = result[f"{name}_two"].transpose("width", "seed", "time", "time_", ...).values
        same_time = np.moveaxis(np.diagonal(two, axis1=2, axis2=3), -1, 2)
        np.testing.assert_allclose(same_time, result[name].values, atol=1e-14)
        swapped = two.transpose(0, 1, 3, 2, 4, 6, 5)
        np.testing.assert_allclose(two[0], swapped[0], atol=1e-14)
    h, z = result["h"].values, result["z"].values
    assert h.shape == z.shape == (2, 2, 6, 24)
    np.testing.assert_array_equal(result["field_time"], [4, 8])
    # The fields of run 1 at step 4 give the kernels that were saved.
    phi = np.tanh(h[0, :, :, 12:])
    np.testing.assert_allclose(phi @ phi.swapaxes(1, 2) / 12, result["Phi"][0, 1, 1], atol=1e-14)
    g = z[0, :, :, 12:] * (1 - phi**2)
    np.testing.assert_allclose(g @ g.swapaxes(1, 2) / 12, result["G"][0, 1, 1], atol=1e-14)
    first, last = (np.tanh(h[k, 0, :, 12:]) for k in (0, 1))
    expected = first @ last.T / 12
    np.testing.assert_allclose(result["Phi_two"].values[0, 1, 0, 1, 2], expected, atol=1e-14)
    grouped = train_networks(given, [12, 8], [2, 1], plan, 0, "float64", False, group=2)[0]
    for name in ("h", "z", "Phi_two", "G_two"):
        np.testing.assert_allclose(grouped[name], result[name].values, atol=1e-12)


def test_labels_of_the_result():
    given = problem(2, steps=3)
    result = run64(given, seeds=2)
    assert result.kind == "experiment"
    assert result["Phi"].dims == ("width", "seed", "time", "layer", "sample", "sample_")
    np.testing.assert_allclose(result["loss"].coords["eta_t"], [0.0, 0.1, 0.2])
    np.testing.assert_array_equal(result["f"].coords["split"], ["train"] * 4 + ["test"] * 2)
    np.testing.assert_array_equal(result["Phi"].coords["layer"], [1, 2])
    assert result["f"][:, :, 0].values.any() == np.False_  # centred: exactly 0 at the start
    unlabelled = Data(given.data.x, given.data.y, given.data.x_test)
    assert "test_mse" not in run64(problem(2, steps=3, data=unlabelled))


def test_weights_have_their_scale():
    given = problem(2, weight_std=[0.5, 2.0])
    first, second, readout = weights_of(given, 200)
    for matrix, scale in ((first, 0.5), (second, 2.0), (readout, 1.0)):
        assert abs(matrix.std() / scale - 1) < 5 / math.sqrt(2 * matrix.size)
        assert abs(matrix.mean() / scale) < 5 / math.sqrt(matrix.size)


def test_divergence_names_step_and_width():
    given = problem(2, "relu", learning_rate=200.0, steps=60)
    with pytest.raises(
        Diverged, match=r"width 8 \(run \d\) has a non-finite (f|Phi|G) at step \d+"
    ):
        simulate_networks(given, [8], 2, progress=False)
    with pytest.raises(Diverged, match=r"non-finite loss at step (\d+)") as sparse:
        simulate_networks(given, [8], 2, SavePlan(steps=[0, 59]), progress=False)
    step = int(str(sparse.value).split("at step ")[1].split(";")[0])
    finite = simulate_networks(given, [8], 1, SavePlan(steps=[step - 1]), progress=False)
    assert np.isfinite(finite["loss"].values).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"widths": 0}, "`width` must be an integer of at least 1 or a list of them, but is 0"),
        ({"widths": []}, "`width` must be"),
        ({"widths": [8, 8]}, "`width` must be a size or different sizes"),
        ({"seeds": -1}, "`seeds` must be an integer of at least 1 or a list of them, but is -1"),
        ({"widths": [4, 8], "seeds": [1, 2, 3]}, "one for each of 2 sizes"),
        ({"seeds": [1, 0], "widths": [4, 8]}, "`seeds` must be"),
        ({"precision": "half"}, "'float32', 'float64'"),
        ({"seed": -3}, "`seed` must be an integer of at least 0, but is -3"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict, words: str):
    with pytest.raises(InvalidProblem, match=words):
        simulate_networks(problem(), **({"widths": 4, "seeds": 1, "progress": False} | arguments))


@pytest.mark.parametrize("value", [2.5, True, "8", None, [4, "a"]])
def test_sizes_are_integers(value):
    with pytest.raises(InvalidProblem, match="integer of at least 1 or a list of them"):
        integers("width", value)


def test_what_cannot_be_kept_is_refused_before_training():
    plan = SavePlan(steps=list(range(6)), two_time=True)
    with pytest.raises(CapacityExceeded, match="GiB"):
        simulate_networks(problem(), 4, 10**10, plan, progress=False)


def test_groups_follow_memory_not_the_number_of_runs():
    task = _task(problem(), "float32", 64, "mean_field")
    assert _group(task, 64, "cpu") == 1
    assert _group(task, 64, "gpu") == 8
    assert _group(task, 4096, "gpu") == 5
    assert _group(task, 10**6, "gpu") == 1
