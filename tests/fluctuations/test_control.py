"""The control variate: what is left of a network's deviation is of order 1/N, its mean unmoved."""

import numpy as np
import pytest
import xarray as xr

import orderparam as op
from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.fluctuations.experiment import control
from orderparam.results import Solution

QUIET = {"progress": False}
TWO = op.data.Data([[1.0, 0.5], [-0.3, 1.2]], [1.0, -1.0], [[0.4, -0.8]], [1.0])


def problem(activation="tanh", depth=1):
    """Everything that networks start or train with besides the usual."""
    evolution = op.kernels.KernelEvolution(
        op.kernels.MLP(depth, activation, biases=True, bias_std=0.5), TWO, learning_rate=0.2,
        steps=6, momentum=0.5, weight_decay=0.01, batches=op.kernels.Batches(1),
    )  # fmt: skip
    return op.fluctuations.FiniteWidth(evolution)


def trained(posed, **settings):
    asked = {"width": [16, 256], "seeds": 100, "precision": "float64", **settings}
    return op.simulate(posed, control=True, **asked, **QUIET)


def spreads(networks, name):
    return np.sqrt((networks[f"{name}_shift"].var("seed")).mean(["time", "sample"]).values)


def test_what_is_left_does_not_grow_with_the_width():
    nets = trained(problem())
    narrow, wide = spreads(nets, "f")
    assert wide < 1.5 * narrow
    plain = nets["f"].sel(width=256).std("seed").values * 256
    assert wide < 0.2 * np.sqrt(np.mean(plain**2))
    # A control variate whose mean is not zero would move the shift by N times that.
    shift = nets["f_shift"]
    error = np.sqrt((shift.var("seed") / 100).sum("width"))
    moved = shift.mean("seed").diff("width").isel(width=0)
    assert (np.abs(moved) <= 4 * error + 0.01).all()


def test_what_is_exact_has_no_rounding_left():
    """Kernels before and after the first step are averages of what each neuron adds by itself."""
    nets = op.simulate(
        op.fluctuations.FiniteWidth(op.kernels.KernelEvolution(op.kernels.MLP(1), TWO, steps=3)),
        width=[16, 256], seeds=8, control=True, precision="float64", **QUIET,
    )  # fmt: skip
    start = nets["Phi_shift"].isel(time=slice(2)).values
    assert (start == 0).all()
    assert (nets["Phi_shift"].isel(time=2) != 0).any()


def test_influences_without_their_answers_leave_the_fluctuation(monkeypatch):
    """A neuron changes the others too; dropping that leaves a rest that grows as N^(1/2)."""
    right = control.influence_means

    def wrong(functions, known, found):
        answers = {name: 0 * value for name, value in known.answers.items()}
        return right(functions, known._replace(answers=answers), found)

    monkeypatch.setattr(control, "influence_means", wrong)
    narrow, wide = spreads(trained(problem()), "f")
    assert wide > 2 * narrow


@pytest.mark.validate
def test_what_is_left_of_several_outputs():
    data = op.data.Data(TWO.x, [[1.0, 0.0], [0.0, 1.0]])
    evolution = op.kernels.KernelEvolution(
        op.kernels.MLP(1, "tanh"), data, loss="softmax", learning_rate=0.3, steps=4, centered=False
    )
    nets = trained(op.fluctuations.FiniteWidth(evolution))
    left = nets["ntk_shift"].var("seed").mean(["time", "sample", "sample_", "output", "output_"])
    assert left.sel(width=256) < 1.5**2 * left.sel(width=16)


def test_the_control_variate_refuses_what_it_does_not_know():
    for posed in (problem(depth=2), problem("relu")):
        with pytest.raises(UnsupportedCombination, match="Leave out `control`"):
            trained(posed)
    with pytest.raises(InvalidProblem, match="`control`"):
        trained(problem(), limit=Solution(xr.Dataset()))
