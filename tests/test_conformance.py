"""The contract of a family holds for ours, and each broken part of it is found."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import orderparam as op
from orderparam.contract import Estimate
from orderparam.results import Solution

DATA = op.data.gaussian(count=3, dimension=6, test_count=1, seed=1)
PROBLEM = op.kernels.KernelEvolution(op.kernels.MLP(2, "linear"), DATA, steps=4)
EXACT = op.kernels.ExactLinear()
SOLVED = op.solve(PROBLEM, EXACT, progress=False)


def test_sampled_theories_keep_the_contract():
    network = op.kernels.MLP(2, "tanh")
    problem = op.kernels.KernelEvolution(network, DATA, steps=4)
    checks = op.check_theory(problem, op.kernels.Causal(256, 2, 1e-2), width=[16, 32])
    assert checks[-1] == "experiment"


class Broken(op.kernels.ExactLinear):
    """A method that returns a prepared result."""

    result: Any = None

    def solve(self, problem, save, seed, progress):
        return self.result


Broken.__module__ = "orderparam.kernels.broken"


def changed(**attributes):
    dataset = SOLVED.dataset.copy(deep=True)
    dataset["f"].attrs.update(attributes)
    return dataset


def infinite():
    dataset = changed()
    dataset["f"].values[:] = np.inf
    return dataset


def answering(dataset):
    method = Broken()
    object.__setattr__(method, "result", Solution(dataset))
    return method


@pytest.mark.parametrize(
    ("dataset", "sentence"),
    [
        (changed(symbol=""), "`f` has no symbol"),
        (changed(standard_error="mse"), "error of `f` is called `mse`"),
        (infinite(), "`f` is not finite although"),
        (changed().assign_attrs(precision="float32"), "not in float64"),
        (changed().assign(f=SOLVED["f"].astype(np.float32)), "`f` is float32"),
        (changed().assign_attrs(message=""), "no message"),
        (changed().assign_attrs(sources="[]"), "cites no source"),
    ],
)
def test_broken_results_are_found(dataset, sentence):
    with pytest.raises(AssertionError, match=sentence):
        op.check_theory(PROBLEM, answering(dataset))


class Leaking(Broken):
    def solve(self, problem, save, seed, progress):
        jax.config.update("jax_enable_x64", True)
        return SOLVED


class Random(Broken):
    def solve(self, problem, save, seed, progress):
        dataset = changed()
        dataset["f"].values[:] += np.random.default_rng().standard_normal()
        return Solution(dataset)


class Careless(Broken):
    def estimate(self, problem, save):
        return Estimate(0, 0.0)


class Nameless(Broken):
    def config(self):
        return {}


class Jax(Broken):
    def __init__(self):
        super().__init__()
        self.result = jnp.ones(1)


@pytest.mark.parametrize(
    ("method", "sentence"),
    [
        (Leaking, "changed JAX's precision"),
        (Random, "two different results"),
        (Careless, "estimate"),
        (Nameless, "lacks its name"),
        (Jax, "holds JAX arrays"),
    ],
)
def test_broken_methods_are_found(method, sentence):
    method.__module__ = Broken.__module__
    try:
        with pytest.raises(AssertionError, match=sentence):
            op.check_theory(PROBLEM, method())
    finally:
        jax.config.update("jax_enable_x64", False)


class Silent(type(PROBLEM)):
    """A problem whose experiment measures something else."""

    def simulate(self, sizes, seeds, save, seed, **options):
        networks = super().simulate(sizes, seeds, save, seed, **options)
        return Solution(networks.dataset.rename({"width": "size"}))


def test_broken_experiments_are_found():
    silent = Silent(PROBLEM.network, PROBLEM.data, steps=4)
    with pytest.raises(AssertionError, match="share no variable"):
        op.check_theory(silent, EXACT, width=[8, 16])
    with pytest.raises(AssertionError, match="not one of"):
        op.check_theory(PROBLEM, EXACT, height=[8])
