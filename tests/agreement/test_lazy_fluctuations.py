"""Lazy networks: closed forms against ensembles of trained networks, kinks included."""

import functools

import numpy as np
import pytest

import orderparam as op

QUIET = {"progress": False}
RNG = np.random.default_rng(5)
FOUR = op.data.Data(
    RNG.standard_normal((3, 4)), RNG.standard_normal(3), RNG.standard_normal((1, 4)),
    RNG.standard_normal(1),
)  # fmt: skip
TWO = op.data.Data([[1.0, 0.5], [-0.3, 1.2]], [1.0, -1.0], [[0.4, -0.8]], [1.0])


def problem(data, activation, depth, gamma0=1e-3, **settings):
    network = op.kernels.MLP(depth, activation)
    evolution = op.kernels.KernelEvolution(network, data, gamma0=gamma0, **settings)
    return op.fluctuations.FiniteWidth(evolution)


@functools.cache
def trained(gamma0):
    posed = problem(TWO, "relu_normalized", 2, gamma0, learning_rate=0.2, steps=6)
    return op.simulate(posed, width=128, seeds=800, **QUIET)


def test_rectifiers_of_two_layers_scatter_as_predicted():
    """Claim 3, the fast form: every variance, in units of its standard error."""
    posed = problem(TWO, "relu_normalized", 2, learning_rate=0.2, steps=6)
    theory = op.solve(posed, op.fluctuations.Lazy(1024, 4), **QUIET)
    networks = trained(1e-3).dataset.isel(width=0)
    table = op.compare(theory, trained(1e-3)).table
    assert "fail" not in {row.verdict for row in table}
    for name in ("f_nvar", "Phi_nvar", "G_nvar", "ntk_nvar", "loss_nvar"):
        one = theory[name]
        measured = networks[name].mean("seed").transpose(*one.dims).values
        scatter = networks[name].std("seed").values / 800**0.5
        error = np.sqrt(np.mean(scatter**2) + np.mean(theory.error(name).values ** 2))
        assert np.sqrt(np.mean((measured - one.values) ** 2)) < 3 * error, name
        layer = theory[f"{name}_layer"].isel(source=1).transpose(*one.dims).values
        wrong = np.sqrt(np.mean((measured - layer) ** 2))  # the last layer alone
        assert name == "G_nvar" or wrong > 5 * error, name


def memory(networks):
    """Correlation over networks of K(t) with K(0), the least over times and entries."""
    K = networks["ntk"].isel(width=0)
    first = K.isel(time=0, drop=True)
    apart, other = K - K.mean("seed"), first - first.mean("seed")
    both = (apart * other).mean("seed")
    return float((both / (K.std("seed") * first.std("seed"))).min())


def test_kernels_of_lazy_networks_do_not_move():
    """Claim 4: kernels differ between networks, and each keeps its own."""
    assert memory(trained(1e-3)) > 0.98
    assert memory(trained(2.0)) < 0.9


@pytest.mark.validate
@pytest.mark.parametrize(
    ("activation", "depth"),
    [("tanh", 1), ("tanh", 2), ("tanh", 3), ("relu_normalized", 1), ("relu_normalized", 2)],
)
def test_lazy_networks_with_several_samples(activation, depth):
    """Claim 3: train and test samples together within 8 %."""
    posed = problem(FOUR, activation, depth, learning_rate=0.3, steps=25)
    theory = op.solve(posed, op.fluctuations.Lazy(4096, 8), **QUIET)
    networks = op.simulate(posed, width=256, seeds=3000, **QUIET).dataset.isel(width=0)
    for name in ("f_nvar", "ntk_nvar"):
        measured = networks[name].mean("seed").transpose(*theory[name].dims)
        apart = np.sqrt(np.mean((measured.values - theory[name].values) ** 2))
        assert apart < 0.08 * np.sqrt(np.mean(theory[name].values ** 2)), name
