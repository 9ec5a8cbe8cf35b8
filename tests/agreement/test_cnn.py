"""Convolutional networks: theory against trained networks, and wrong theories that fail."""

import warnings

import jax.numpy as jnp
import numpy as np
import pytest

import orderparam as op
from orderparam.kernels import CNN, Batches, cosine

STEPS = 12
SAVE = op.SavePlan(steps=(0, 2, 5, 8, 11), two_time=True, fields_at=(8,))
METHOD = op.kernels.Causal(samples=4096, replicates=3, tolerance=1e-4, accuracy=0.1)
COARSER = op.kernels.Causal(samples=4096, replicates=3, tolerance=1e-3, accuracy=0.1)
SMALL = op.kernels.Causal(samples=2048, replicates=3, tolerance=1e-3, accuracy=0.1)
CASES = {
    "small": (
        CNN(2, "erf", shape=3, padding="zero", biases=True, bias_std=0.5),
        "squared",
        {"batches": Batches(2, "random", seed=1), "momentum": 0.5},
    ),
    "sequence, flattened": (CNN(2, "tanh", shape=6, readout="flattened"), "squared", {}),
    "image, pooled": (
        CNN(2, "tanh", shape=(3, 3), kernel_size=2, biases=True, bias_std=0.5),
        "squared",
        {"momentum": 0.5, "weight_decay": 0.1},
    ),
    "empty outside": (
        CNN(2, "erf", shape=4, padding="zero", biases=True, bias_std=1.0),
        "softmax",
        {"batches": Batches(2, "random", seed=1), "momentum": 0.5},
    ),
    "channels": (
        CNN(2, "gelu", shape=(2, 3), channels=2, kernel_size=2, readout="flattened"),
        "logistic",
        {"batches": Batches(2, "one_pass"), "schedule": cosine(STEPS, warmup=3)},
    ),
}
RATES = {"small": 0.2, "image, pooled": 0.4, "empty outside": 1.0, "channels": 0.5}


def problem(name, gamma0=2.0, network=None):
    given, loss, training = CASES[name]
    count = 2 * STEPS if "one_pass" in str(training) else 4
    dimension = given.channels * given.positions
    data = op.data.gaussian(count=count, dimension=dimension, test_count=2, seed=1)
    if loss == "softmax":
        y, y_test = (np.eye(3)[np.arange(n) % 3] for n in (count, 2))
        data = op.data.from_arrays(data.x, y, data.x_test, y_test)
    return op.kernels.KernelEvolution(
        network or given, data, gamma0=gamma0, learning_rate=RATES.get(name, 0.3),
        steps=STEPS, loss=loss, **training,
    )  # fmt: skip


def theory(task, method=METHOD):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # learning rates near the stability limit
        return op.solve(task, method, save=SAVE, progress=False, throw=False)


def networks(task, widths=(64, 128, 256), seeds=(24, 16, 12)):
    return op.simulate(task, width=widths, seeds=seeds, save=SAVE, progress=False)


def check_fields(result, network):
    """Fields have positions, and their products are the kernels of the readout."""
    h, z = result["h"], result["z"]
    assert h.dims == ("field_time", "layer", "sample", "position", "neuron")
    assert z.dims in ((*h.dims[:3], *h.dims[3:]), (*h.dims[:3], "output", *h.dims[3:]))
    phi = np.asarray(network.activation(jnp.asarray(h.values[0])))
    pooled = network.readout == "pooled"
    phi = phi.mean(axis=2, keepdims=True) if pooled else phi / network.positions**0.5
    kernel = np.einsum("lman,lkan->lmk", phi, phi) / phi.shape[-1]
    kernels = result["Phi"].sel(time=8)
    if "seed" in kernels.dims:  # fields are those of the widest networks
        kernels = kernels.isel(width=-1).mean("seed")
    np.testing.assert_allclose(kernels, kernel, atol=1e-5)


def test_small_networks_agree_and_not_without_responses():
    task = problem("small")
    limit, measured = theory(task, SMALL), networks(task)
    agreement = op.compare(limit, measured)
    assert agreement.verdict == "pass", str(agreement)
    for result in (limit, measured):
        check_fields(result, task.network)
    wrong = theory(task, op.kernels.Causal(2048, 3, 1e-3, response=False))
    assert op.compare(wrong, measured).verdict == "fail"


def test_kernels_between_two_steps_agree_and_wrong_ones_do_not():
    """The flattened readout, with an exact theory, so that networks alone fluctuate."""
    network = CNN(2, "linear", shape=4, readout="flattened", padding="zero")
    data = op.data.gaussian(count=3, dimension=4, seed=1)
    task = op.kernels.KernelEvolution(network, data, gamma0=2.0, learning_rate=0.5, steps=STEPS)
    save = op.SavePlan(steps=(0, 5, 11), two_time=True)
    limit = op.solve(task, save=save, progress=False)
    measured = op.simulate(task, width=(64, 128, 256), seeds=12, save=save, progress=False)

    def verdicts(**changed):
        dataset = limit.dataset.copy(deep=True).assign(
            {name: limit[name].copy(data=values) for name, values in changed.items()}
        )
        table = op.compare(type(limit)(dataset), measured, variables=("Phi_two", "G_two")).table
        return [row.verdict for row in table]

    phi, g = limit["Phi_two"].values, limit["G_two"].values
    assert verdicts() == ["pass", "pass"]
    # Phi(t, s) is no symmetric matrix of samples, and not the kernel of the first of the steps.
    assert verdicts(Phi_two=phi.swapaxes(3, 4)) == ["fail", "pass"]
    assert verdicts(Phi_two=0 * phi + np.einsum("lttxy->ltxy", phi)[:, :, None]) == ["fail", "pass"]
    assert verdicts(G_two=0 * g + np.einsum("lttxy->ltxy", g)[:, :, None]) == ["pass", "fail"]


@pytest.mark.validate
@pytest.mark.parametrize(("name", "method"), [("empty outside", COARSER), ("channels", COARSER)])
def test_networks_agree(name, method):
    task = problem(name)
    limit, measured = theory(task, method), networks(task)
    agreement = op.compare(limit, measured)
    assert agreement.verdict == "pass", str(agreement)
    for result in (limit, measured):
        check_fields(result, task.network)


@pytest.mark.validate
@pytest.mark.parametrize("name", ["sequence, flattened", "image, pooled"])
def test_networks_agree_and_wrong_theories_fail(name):
    task = problem(name, gamma0=3.0)
    measured = networks(task)
    agreement = op.compare(theory(task), measured)
    assert agreement.verdict == "pass", str(agreement)
    no_responses = op.kernels.Causal(4096, 3, 1e-4, response=False)
    assert op.compare(theory(task, no_responses), measured).verdict == "fail"
    config = {k: v for k, v in task.network.config().items() if k not in ("kind", "padding")}
    wrong = problem(name, 3.0, CNN(**{**config, "activation": "tanh"}, padding="zero"))
    other = theory(wrong)
    problem_of = measured.dataset.attrs["problem"]
    zero = type(other)(other.dataset.assign_attrs(problem=problem_of))
    assert op.compare(zero, measured).verdict == "fail"
