"""A set of neurons with equal weights is an ordinary network, step by step, in every training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import orderparam as op
from orderparam.fluctuations.theory.particles import Neuron, training_of
from orderparam.fluctuations.theory.response import Population, limit
from orderparam.kernels.experiment.networks import draw
from orderparam.support.settings import library_settings

WIDTH = 6
RNG = np.random.default_rng(2)
X, FRESH = RNG.standard_normal((4, 3)), RNG.standard_normal((10, 3))
PLAIN = op.kernels.MLP(1, "tanh")
SETTINGS = {
    "logistic, biases, momentum, decay, batches, schedule, uncentred": (
        op.kernels.MLP(1, "tanh", 1.2, True, 0.5),
        op.data.Data(X, np.sign(X[:, 0]), X[:1], [1.0]),
        {
            "loss": "logistic", "momentum": 0.6, "weight_decay": 0.05, "centered": False,
            "batches": op.kernels.Batches(2, "random"), "schedule": lambda t: 1 / (1 + t),
        },
    ),
    "softmax, centred": (
        PLAIN, op.data.Data(X, np.eye(3)[[0, 1, 2, 1]], X[:1]), {"loss": "softmax"}
    ),
    "one pass, momentum, centred": (
        PLAIN, op.data.Data(FRESH, FRESH[:, 0], X, np.ones(4)),
        {"batches": op.kernels.Batches(2, "one_pass"), "momentum": 0.5},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
def test_neurons_with_equal_weights_are_a_network(name):
    network, data, settings = SETTINGS[name]
    evolution = op.kernels.KernelEvolution(
        network, data, gamma0=0.7, learning_rate=0.4, steps=5, **settings
    )
    trained = op.simulate(evolution, width=WIDTH, seeds=1, precision="float64", progress=False)
    drawn = draw(network, WIDTH, data.dimension, data.outputs, 0, [0])
    first, readout = drawn["W"][0][0].astype(float), drawn["w"][0][0].astype(float)
    bias = drawn["b"][0][0].astype(float)[:, None] if network.biases else np.zeros((WIDTH, 0))
    with library_settings():
        training = training_of(evolution, np.arange(5))
        rows = np.concatenate([training.rows, training.seen])
        inputs = np.concatenate([data.x, *([] if evolution.one_pass else [data.x]), data.x_test])
        V = np.linalg.lstsq(rows, inputs @ first.T / np.sqrt(data.dimension), rcond=None)[0].T
        start = jax.tree.map(jnp.asarray, Neuron(V, readout, bias))
        found, _ = limit(training, Population(start, jnp.full(WIDTH, 1 / WIDTH)))
    for quantity in ("f", "Phi", "G"):
        measured = trained[quantity].values[0, 0]
        np.testing.assert_allclose(
            np.ravel(found.observed[quantity]), np.ravel(measured), atol=1e-12
        )
