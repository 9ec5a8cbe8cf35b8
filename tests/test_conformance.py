"""The contract of a family holds for ours, and each broken part of it is found."""

from dataclasses import replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import orderparam as op
from orderparam.contract import Estimate
from orderparam.errors import UnsupportedCombination
from orderparam.kernels import family as kernels
from orderparam.results import Solution

DATA = op.data.gaussian(count=3, dimension=6, test_count=1, seed=1)
PROBLEM = op.kernels.KernelEvolution(op.kernels.MLP(2, "linear"), DATA, steps=4)
EXACT = op.kernels.ExactLinear()


@cache
def solved():
    return op.solve(PROBLEM, EXACT, progress=False)


def test_sampled_theories_keep_the_contract():
    network = op.kernels.MLP(2, "tanh")
    problem = op.kernels.KernelEvolution(network, DATA, steps=4)
    checks = op.check_theory(problem, op.kernels.Causal(256, 2, 1e-2, accuracy=0.5), width=[16, 32])
    assert checks[-1] == "experiment"


class Broken(op.kernels.ExactLinear):
    """A method that returns a prepared result."""

    result: Any = None

    def solve(self, problem, save, seed, progress):
        return self.result


def changed(**attributes):
    dataset = solved().dataset.copy(deep=True)
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
    ("make", "sentence"),
    [
        (lambda: changed(symbol=""), "`f` has no symbol"),
        (lambda: changed(standard_error="mse"), "error of `f` is called `mse`"),
        (infinite, "`f` is not finite although"),
        (lambda: changed().assign_attrs(precision="float32"), "not in float64"),
        (lambda: changed().assign(f=solved()["f"].astype(np.float32)), "`f` is float32"),
        (lambda: changed().assign_attrs(message=""), "no message"),
        (lambda: changed().assign_attrs(sources="[]"), "cites no source"),
    ],
)
def test_broken_results_are_found(make, sentence):
    with pytest.raises(AssertionError, match=sentence):
        op.check_theory(PROBLEM, answering(make()))


class Leaking(Broken):
    def solve(self, problem, save, seed, progress):
        jax.config.update("jax_enable_x64", True)
        return solved()


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
    try:
        with pytest.raises(AssertionError, match=sentence):
            op.check_theory(PROBLEM, method())
    finally:
        jax.config.update("jax_enable_x64", False)


def silent(problem, *arguments, **options):
    """An experiment that measures something else."""
    networks = kernels.simulate(problem, *arguments, **options)
    return Solution(networks.dataset.rename({"width": "size"}))


def test_broken_experiments_are_found(monkeypatch):
    (kind,) = kernels.FAMILY.kinds
    broken = replace(kernels.FAMILY, kinds=(replace(kind, experiment=silent),))
    with monkeypatch.context() as patch:
        patch.setattr(kernels, "FAMILY", broken)
        with pytest.raises(AssertionError, match="share no variable"):
            op.check_theory(PROBLEM, EXACT, width=[8, 16])
    with pytest.raises(AssertionError, match="not one of"):
        op.check_theory(PROBLEM, EXACT, height=[8])


class Mine(op.kernels.ExactLinear):
    """What a user writes in a script."""

    name = "mine"


class MyProblem(op.kernels.KernelEvolution):
    """A problem of a user's own."""


def test_methods_and_problems_of_a_users_own():
    mine = MyProblem(PROBLEM.network, DATA, steps=4)
    found = op.solve(mine, Mine(), progress=False)
    assert found.method["name"] == "mine"
    np.testing.assert_array_equal(found["f"], solved()["f"])
    assert op.solve(mine, progress=False).method["name"] == "exact-linear"
    assert op.simulate(mine, width=8, seeds=1, progress=False)["width"].size == 1
    with pytest.raises(UnsupportedCombination, match="family mixtures"):
        op.solve(PROBLEM, op.mixtures.SaddlePoint())
