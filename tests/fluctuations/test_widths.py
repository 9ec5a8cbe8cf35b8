"""What networks and ensembles of a width do: the formulas, and what they refuse."""

import functools

import numpy as np
import pytest

import orderparam as op
from orderparam.errors import InvalidProblem

QUIET = {"progress": False}


@functools.cache
def theory():
    """One sample and a linear network: exact, and the same programs as the test of that."""
    evolution = op.kernels.KernelEvolution(
        op.kernels.MLP(1, "linear"), op.data.Data([[1.0]], [1.0]), gamma0=1.3, learning_rate=0.1,
        steps=12,
    )  # fmt: skip
    method = op.fluctuations.Influence(nodes=6)
    return op.solve(op.fluctuations.FiniteWidth(evolution), method, **QUIET)


def test_ensembles_divide_the_spread_and_leave_the_shift():
    one, four = (op.fluctuations.at_width(theory(), 50, ensemble=E) for E in (1, 4))
    np.testing.assert_allclose(four["f"], theory()["f"] + theory()["f_shift"] / 50)
    np.testing.assert_allclose(four["f"], one["f"])
    np.testing.assert_allclose(four["f_spread"], one["f_spread"] / 2)
    np.testing.assert_allclose(one["f_spread"] ** 2, theory()["f_nvar"] / 50)
    # Squared error on a point: Delta^2 + (Sigma/E - 2 beta Delta)/N.
    delta, beta = theory()["Delta"], theory()["f_shift"]
    for E, found in ((1, one), (4, four)):
        expected = delta.values**2 + (theory()["f_nvar"] / E - 2 * beta * delta.values) / 50
        np.testing.assert_allclose(found["mse"], expected.values[:, 0], atol=1e-14)


def test_the_minimal_width_is_the_first_that_suffices():
    f, nvar, shift = (theory()[name].values[:, 0] for name in ("f", "f_nvar", "f_shift"))
    for E in (1, 9):
        N = op.fluctuations.minimal_width(theory(), relative=0.05, ensemble=E)

        def holds(width, E=E):
            small = 0.05 * np.abs(f).max()
            return (np.sqrt(nvar / width / E) <= small).all() and (
                np.abs(shift) / width <= small
            ).all()

        assert holds(N)
        assert not holds(N - 1)


def test_the_best_split_is_the_best_of_all():
    split = op.fluctuations.best_split(theory(), parameters=2000.0)
    least = int(theory().diagnostics["valid_width"])
    found = {}
    for E in range(1, 1000 // least + 1):
        N = int(1000 / E)  # two parameters for each neuron
        found[E, N] = float(op.fluctuations.at_width(theory(), N, ensemble=E)["loss"][-1])
    assert (split.ensemble, split.width) == min(found, key=lambda pair: found[pair])
    assert split.loss == pytest.approx(min(found.values()), rel=1e-12)
    assert split.parameters == 2 * split.width * split.ensemble <= 2000
    assert not split.at_bound
    assert op.fluctuations.best_split(theory(), neurons=1000.0) == split


def test_splits_count_the_weights_of_deep_networks():
    problem = theory().problem
    problem["evolution"]["network"]["depth"] = 3
    problem["evolution"]["network"]["biases"] = True
    import json

    from orderparam.results import Solution

    deep = Solution(theory().dataset.assign_attrs(problem=json.dumps(problem)))
    split = op.fluctuations.best_split(deep, parameters=1e5)
    each = 2 * split.width**2 + split.width * (1 + 1 + 3)
    assert split.parameters == split.ensemble * each <= 100_000
    wider = 2 * (split.width + 1) ** 2 + (split.width + 1) * 5
    assert split.ensemble * wider > 100_000


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda f, t: f.best_split(t), "parameters"),
        (lambda f, t: f.best_split(t, parameters=10.0, neurons=10.0), "parameters"),
        (lambda f, t: f.best_split(t, neurons=1.0), "neurons"),
        (lambda f, t: f.best_split(t, neurons=1000.0, step=99), "step"),
        (lambda f, t: f.best_split(t, neurons=1000.0, loss="test_loss"), "loss"),
        (lambda f, t: f.at_width(t, 0), "width"),
        (lambda f, t: f.minimal_width(t, relative=0.0), "relative"),
    ],
)
def test_bad_arguments_are_named(call, words):
    with pytest.raises(InvalidProblem, match=f"`{words}`"):
        call(op.fluctuations, theory())
