"""Exponents in the width, and moments of ensembles, on made-up ensembles of known law."""

import numpy as np
import pytest
from scipy import stats

import orderparam as op
from orderparam.errors import InvalidProblem
from orderparam.results import Coordinate, Variable, Verdict, build_solution

WIDTHS = (16, 32, 64, 128, 256, 512)
LIMIT, SPREAD = np.array([1.0, -2.0, 0.5]), np.array([0.5, 1.0, 0.3])
SHIFT = np.array([0.4, -0.2, 0.2])


def made(kind, variables):
    """A result with predictions of one sample at three times."""
    leading = ("width", "seed") if kind == "experiment" else ()
    coords = {
        "time": Coordinate(("time",), np.arange(3), "step"),
        "sample": Coordinate(("sample",), np.arange(1), "sample"),
    }
    if leading:
        count = variables["f"].shape[1]
        coords["width"] = Coordinate(("width",), np.array(WIDTHS[: len(variables["f"])]), "width")
        coords["seed"] = Coordinate(("seed",), np.arange(count), "run")
    dims = (*leading, "time", "sample")
    return build_solution(
        {name: Variable(dims, v[..., None], name, name) for name, v in variables.items()},
        coords, family="fluctuations", kind=kind, problem={}, method={}, seed=0,
        verdict=Verdict.CONVERGED, message="Made.", diagnostics={}, precision="float64",
        device="cpu", wall_time=0.0, compile_time=None, sources=[],
    )  # fmt: skip


def theory(shift=SHIFT):
    return made("theory", {"f": LIMIT, "f_nvar": SPREAD**2, "f_shift": shift})


def ensembles(count, control, shift=SHIFT, widths=WIDTHS, power=0.5):
    """o + Z N^-power + beta/N, and N (o_N - o) with or without N^(1/2) Z."""
    rng = np.random.default_rng(3)
    N = np.array(widths)[:, None, None]
    Z = SPREAD * rng.standard_normal((len(widths), count, 3))
    rest = shift + 0.2 * rng.standard_normal(Z.shape)
    f = LIMIT + Z / N**power + rest / N
    shifts = rest if control else N * (f - LIMIT)
    return made("experiment", {"f": f, "f_shift": shifts})


def test_exponents_of_controlled_ensembles():
    found = op.fluctuations.width_exponents(theory(), ensembles(2000, True))
    assert found.scatter_exponent == pytest.approx(-1, abs=0.03)
    assert found.shift_exponent == pytest.approx(-2, abs=4 * float(found.shift_exponent_se))
    assert float(found.shift_exponent_se) < 0.02
    expected = np.mean(SHIFT**2) / np.array(WIDTHS) ** 2
    np.testing.assert_allclose(found["shift"], expected, rtol=0.1)
    assert np.mean(np.abs(found["shift"] - expected) < 2 * found.shift_se) > 0.6


def test_ensembles_that_do_not_scale_have_other_exponents():
    slow = op.fluctuations.width_exponents(theory(), ensembles(500, True, power=0.25))
    assert float(slow.scatter_exponent) > -0.7


def test_chance_drowns_the_mean_of_plain_ensembles():
    """Above E beta^2/Sigma the squared mean is not above its error, and does not enter."""
    found = op.fluctuations.width_exponents(theory(), ensembles(20, False))
    threshold = 20 * np.mean(SHIFT**2) / np.mean(SPREAD**2)
    np.testing.assert_allclose(found.drowned_width, threshold)
    late = found.sel(width=512)
    assert threshold < 512
    assert float(late["shift"]) < 3 * float(late.shift_se)
    nothing = op.fluctuations.width_exponents(theory(), ensembles(20, False, shift=0 * SHIFT))
    assert np.isnan(nothing.shift_exponent)
    assert np.isfinite(nothing.scatter_exponent)


def test_squared_means_are_free_of_bias():
    """Without a shift they scatter around zero, by the error that is stated."""
    found = op.fluctuations.width_exponents(theory(), ensembles(30, True, shift=0 * SHIFT))
    scores = found["shift"] / found.shift_se
    assert (np.abs(scores) < 4).all()
    assert (scores < 0).any()


def test_moments_are_those_of_the_law():
    """Sums of N exponential variables: skewness 2/N^(1/2), excess kurtosis 6/N."""
    rng = np.random.default_rng(0)
    widths = np.array([16, 1024])
    f = np.stack([rng.gamma(N, size=(4000, 3)) for N in widths])
    f[..., 2] = 1.0
    found = op.fluctuations.gaussianity(made("experiment", {"f": f}))
    for ending, function in (("skewness", stats.skew), ("excess_kurtosis", stats.kurtosis)):
        values, errors = found[ending][..., 0].values, found[f"{ending}_se"][..., 0].values
        np.testing.assert_allclose(values[:, :2], function(f[..., :2], axis=1), rtol=1e-8)
        assert np.isnan(values[:, 2]).all()
        right = {"skewness": 2 / np.sqrt(widths), "excess_kurtosis": 6 / widths}[ending]
        assert (np.abs(values[:, :2] - right[:, None]) < 4 * errors[:, :2]).all()
        gaussian = {"skewness": 6, "excess_kurtosis": 24}[ending]
        np.testing.assert_allclose(errors[1, :2], np.sqrt(gaussian / 4000), rtol=0.5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda f: f.width_exponents(theory(), ensembles(9, True), variable="ntk"), "variable"),
        (lambda f: f.width_exponents(theory(), ensembles(9, True, widths=(16,))), "two widths"),
        (lambda f: f.width_exponents(ensembles(9, True), ensembles(9, True)), "theory"),
        (lambda f: f.gaussianity(theory()), "networks"),
        (lambda f: f.gaussianity(ensembles(7, True)), "at least 8"),
    ],
)
def test_bad_arguments_are_named(call, words):
    with pytest.raises(InvalidProblem, match=words):
        call(op.fluctuations)
