"""Standard errors and known biases add up to the error that is shown, drawn and compared."""

import numpy as np
import pytest
from scipy import stats

import orderparam as op
from orderparam.errors import InvalidProblem
from orderparam.results import Coordinate, Variable, Verdict, build_solution
from orderparam.results.uncertainty import relative_bias


def built(kind, variables, replicates, coords):
    return build_solution(
        variables, coords, family="kernels", kind=kind, problem={"gamma0": 1.0},
        method={"name": "causal", "replicates": replicates}, seed=0, verdict=Verdict.CONVERGED,
        message="as expected", diagnostics={}, precision="float64", device="cpu", wall_time=1.0,
        compile_time=None, sources=[],
    )  # fmt: skip


TIME = {"time": Coordinate(("time",), np.arange(3), "steps", "steps")}


def theory(se, bias, replicates=4):
    values = np.array([1.0, 0.5, 0.25])
    se, bias = (None if x is None else np.full(3, x) for x in (se, bias))
    loss = Variable(("time",), values, "training loss", "L", se=se, bias=bias)
    return built("theory", {"loss": loss}, replicates, TIME)


def test_both_errors_are_stored_and_make_one():
    solution = theory(0.03, 0.04)
    assert solution.variables == ("loss",)
    assert list(solution.dataset.data_vars) == ["loss", "loss_se", "loss_bias"]
    assert solution["loss"].attrs["bias"] == "loss_bias"
    wider = stats.t.ppf(stats.norm.cdf(1), 3) * 0.03
    np.testing.assert_allclose(solution.error("loss"), np.hypot(wider, 0.04))
    assert "0.25(5)" in repr(solution)
    np.testing.assert_array_equal(theory(None, 0.04).error("loss"), 0.04)
    np.testing.assert_array_equal(theory(None, None).error("loss"), 0.0)
    with pytest.raises(KeyError, match="no variable 'los'"):
        solution.error("los")


def test_a_bias_is_not_given_twice():
    loss = Variable(("time",), np.zeros(3), "loss", "L", bias=np.zeros(3))
    other = Variable(("time",), np.zeros(3), "loss", "L")
    with pytest.raises(InvalidProblem, match="'loss_bias' is given too"):
        built("theory", {"loss": loss, "loss_bias": other}, 4, TIME)


def test_a_known_bias_is_no_disagreement():
    rng = np.random.default_rng(0)
    widths = np.array([64, 128, 256])
    noise = rng.normal(size=(3, 8, 3)) * 0.02 / np.sqrt(widths)[:, None, None]
    runs = Variable(
        ("width", "seed", "time"), np.array([1.0, 0.5, 0.25]) + 0.03 + noise, "loss", "L"
    )
    labels = TIME | {"width": Coordinate(("width",), widths, "width")}
    networks = built("experiment", {"loss": runs}, 4, labels)
    assert op.compare(theory(1e-4, None), networks).verdict == "fail"
    assert op.compare(theory(1e-4, 0.03), networks).verdict == "pass"


def test_one_relative_error_is_that_of_the_largest_value():
    values = np.array([[1.0, -4.0], [0.5, np.nan]])
    found = relative_bias(values, np.array([0.1, 0.2]))
    np.testing.assert_allclose(found, [[0.4, 0.4], [0.1, 0.1]])
    np.testing.assert_allclose(relative_bias(values[:, 1], np.array([0.1, 0.2])), [0.4, 0.0])


def test_biases_of_mixtures_are_their_quadrature_and_residual():
    task = op.mixtures.MixtureERM(op.mixtures.isotropic(2), "squared", "l2", 0.1, alpha=2.0)
    theory = op.solve(task, progress=False)
    relative = np.hypot(theory["quadrature_error"], theory["residual"]).values
    largest = np.abs(theory["Q"].values).max()
    np.testing.assert_allclose(theory["Q_bias"], np.full(2, relative * largest))
    assert (theory.error("test_error") >= theory["test_error_bias"]).all()
    assert "residual_bias" not in theory
