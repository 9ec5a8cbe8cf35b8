"""Convolutional networks: theory against trained networks, and wrong theories that fail."""

import warnings

import numpy as np
import pytest

import orderparam as op
from orderparam.kernels import CNN, Batches, cosine

STEPS = 12
SAVE = op.SavePlan(steps=(0, 2, 5, 8, 11))
METHOD = op.kernels.Causal(samples=4096, replicates=3, tolerance=1e-4)
CASES = {
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
RATES = {"image, pooled": 0.4, "empty outside": 4.0, "channels": 2.0}


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


@pytest.mark.parametrize("name", ["empty outside", "channels"])
def test_networks_agree(name):
    task = problem(name)
    agreement = op.compare(theory(task), networks(task))
    assert agreement.verdict == "pass", str(agreement)


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
