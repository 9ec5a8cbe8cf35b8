"""The claims of the studies of fluctuations hold on right results and fail on wrong ones."""

import numpy as np
import pytest

from orderparam.errors import InvalidProblem
from orderparam.fluctuations.evidence import claims_depth
from orderparam.fluctuations.evidence.claims import CLAIMS
from orderparam.fluctuations.evidence.figures import FIGURES
from orderparam.results import Coordinate, Variable, Verdict, build_solution
from orderparam.results.pair import Pair


def config(depth=1, gamma0=1.0, rate=0.1, centred=True, activation="tanh"):
    return {
        "gamma0": gamma0, "learning_rate": rate, "centered": centred,
        "network": {"depth": depth, "activation": activation}, "data": {"name": "made"},
    }  # fmt: skip


def made(kind, variables, problem, widths=(), count=0):
    """A result of one train sample from arrays (..., time, rest) by name."""
    leading = ("width", "seed") if kind == "experiment" else ()
    dims = {
        "f": ("sample",), "Delta": ("train",), "loss": (), "ntk": ("sample", "sample_"),
        "Phi": ("layer", "sample", "sample_"), "ntk_eigenvalues": ("mode",),
    }  # fmt: skip
    steps = next(iter(variables.values())).shape[len(leading)]
    coords = {
        "time": Coordinate(("time",), np.arange(steps), "step"),
        "eta_t": Coordinate(("time",), 0.1 * np.arange(steps), "time"),
        "split": Coordinate(("sample",), np.array(["train"]), "split"),
    }
    if leading:
        coords["width"] = Coordinate(("width",), np.array(widths), "width")
        coords["seed"] = Coordinate(("seed",), np.arange(count), "run")
    labelled = {
        name: Variable((*leading, "time", *dims[name.split("_nv")[0].split("_sh")[0]
                        .split("_no")[0]]), np.asarray(v, float), name, name)
        for name, v in variables.items()
    }  # fmt: skip
    return build_solution(
        labelled, coords, family="fluctuations", kind=kind, problem={"evolution": problem},
        method={}, seed=0, verdict=Verdict.CONVERGED, message="Made.", diagnostics={},
        precision="float64", device="cpu", wall_time=0.0, compile_time=None, sources=[],
    )  # fmt: skip


def verdicts(name, pairs):
    return {finding.verdict for finding in CLAIMS[name](pairs)}


def rich(gamma0, factor=1.0):
    """A tanh case whose variances fall with gamma0, and networks off by a factor."""
    t = np.arange(12.0)
    nvar = (t * np.exp(-t * gamma0 / 3) / gamma0)[:, None]
    kernel = np.full((12, 1, 1), 1 / gamma0)
    theory = made("theory", {
        "f_nvar": nvar, "ntk": np.ones((12, 1, 1)), "ntk_nvar": kernel, "f": nvar,
    }, config(gamma0=gamma0))  # fmt: skip
    noise = np.random.default_rng(0).chisquare(1, (1, 2000, 1, 1))
    networks = made("experiment", {
        "f_nvar": factor * nvar * noise, "ntk_nvar": factor * kernel * noise[..., None],
        "f": nvar * noise,
    }, config(gamma0=gamma0), (64,), 2000)  # fmt: skip
    return Pair(theory, networks)


def test_wrong_variances_fail():
    assert verdicts("variances", [rich(1.0)]) == {"pass"}
    assert verdicts("variances", [rich(1.0, factor=1.15)]) == {"fail"}
    few = rich(1.0, factor=1.5)
    fewer = few.experiment.dataset.isel(seed=slice(30))
    assert verdicts("variances", [Pair(few.theory, type(few.theory)(fewer))]) == {"undecided"}


def test_variances_that_do_not_fall_fail():
    right = [rich(1.0), rich(2.0)]
    assert verdicts("suppression", right) == {"pass"}
    turned = [
        Pair(
            type(p.theory)(q.theory.dataset.assign_attrs(problem=p.theory.dataset.attrs["problem"]))
        )
        for p, q in zip(right, right[::-1], strict=True)
    ]
    assert verdicts("suppression", turned) == {"fail"}


def deep(gamma0, depth, wrong=1.0):
    """A deep linear case with the numbers of the table, and layers as the claim says."""
    layers = np.arange(1, depth + 1)
    grown = 2.0 * layers if gamma0 < 1 else 1.5 * 3.5**layers
    Phi = np.ones(depth) if gamma0 < 1 else np.sqrt(grown / 0.8)
    values = [claims_depth.START[depth], claims_depth.END[gamma0][depth] * wrong]
    tail = np.array(values)[:, None, None]
    return Pair(made("theory", {
        "ntk": np.ones((2, 1, 1)), "ntk_nvar": tail, "f_nvar": depth * np.ones((2, 1)),
        "Phi": np.tile(Phi[:, None, None], (2, 1, 1, 1)),
        "Phi_nvar": np.tile(grown[:, None, None] * wrong**layers[:, None, None], (2, 1, 1, 1)),
    }, config(depth, gamma0, activation="linear")))  # fmt: skip


def test_other_fluctuations_of_deep_networks_fail():
    cases = [(g, L) for g in (0.25, 3.0) for L in (1, 2, 3, 4)]
    assert verdicts("deep-linear", [deep(*case) for case in cases]) == {"pass"}
    found = CLAIMS["deep-linear"]([deep(*case, wrong=1.1) for case in cases])
    failed = [one.statement for one in found if one.verdict == "fail"]
    assert sum("after training" in one for one in failed) == len(cases)
    assert sum("Phi" in one for one in failed) == 2


def stable(centred, last, sharp=2.2, end=1.8):
    kernel = np.linspace(4, last, 5)
    error = np.array([0, 1, 0.5, 0.1, 1e-4])
    levels = np.array([1.0, sharp, 1.95, 1.9, end]) / 0.1
    return Pair(made("theory", {
        "ntk_eigenvalues": levels[:, None], "ntk_nvar": kernel[:, None, None],
        "Delta_nvar": error[:, None],
    }, config(gamma0=1.0, centred=centred)))  # fmt: skip


def test_networks_that_stay_beyond_the_edge_fail():
    assert verdicts("self-stabilisation", [stable(False, 1.9)]) == {"pass"}
    assert verdicts("self-stabilisation", [stable(True, 4.01, sharp=1.9)]) == {"pass"}
    assert "fail" in verdicts("self-stabilisation", [stable(False, 2.1)])
    assert "fail" in verdicts("self-stabilisation", [stable(False, 1.9, end=2.1)])
    assert verdicts("self-stabilisation", [stable(True, 2.0, sharp=1.9)]) == {"fail"}


def spectrum(sign=1.0, factor=1.0):
    rng = np.random.default_rng(1)
    shift, nvar = np.tile([1.0, -1.0], (4, 1)), np.tile([2.0, 1.0], (4, 1))
    name = "ntk_eigenvalues"
    theory = made("theory", {f"{name}_shift": shift, f"{name}_nvar": nvar}, config())
    noise = rng.standard_normal((1, 2000, 1, 2))
    networks = made("experiment", {
        f"{name}_shift": sign * shift + noise, f"{name}_nvar": factor * nvar * noise**2,
    }, config(), (64,), 2000)  # fmt: skip
    return [Pair(theory, networks)]


def test_levels_that_attract_each_other_fail():
    assert verdicts("level-repulsion", spectrum()) == {"pass"}
    found = CLAIMS["level-repulsion"](spectrum(sign=-1.0))
    assert [one.verdict for one in found if "shift" in one.statement] == ["fail", "fail"]
    found = CLAIMS["level-repulsion"](spectrum(factor=1.15))
    assert [one.verdict for one in found if "Var" in one.statement] == ["fail", "fail"]


def ensembles(shift=1.0, spread=1.0):
    """Losses 1/2 (f - 1)^2 whose networks are f = 1/2 + (Z - beta/sqrt(N))/sqrt(N)."""
    N, E, beta, Sigma = 64, 4000, -0.5, 0.3
    Z = np.sqrt(Sigma) * np.random.default_rng(2).standard_normal((1, E, 3, 1))
    f = 0.5 + spread * Z / np.sqrt(N) + shift * beta / N
    loss = (f[..., 0] - 1) ** 2 / 2
    linear = -0.5 * spread * Z[..., 0] / np.sqrt(N)
    slope = np.full(3, -0.5 * beta + Sigma / 2)
    theory = made("theory", {
        "f": np.full((3, 1), 0.5), "Delta": np.full((3, 1), 0.5), "loss": np.full(3, 0.125),
        "loss_shift": slope, "loss_noise": np.full(3, Sigma / 2),
        "loss_nvar": np.full(3, Sigma / 4),
        "f_shift": np.full((3, 1), beta), "f_nvar": np.full((3, 1), Sigma),
    }, config())  # fmt: skip
    networks = made("experiment", {
        "f": f, "loss": loss, "loss_shift": N * (loss - 0.125 - linear),
    }, config(), (N,), E)  # fmt: skip
    return [Pair(theory, networks)]


def test_other_ensembles_fail():
    for name in ("ensembling", "lagging", "coverage"):
        assert verdicts(name, ensembles()) == {"pass"}
    assert "fail" in verdicts("ensembling", ensembles(shift=0.2))
    assert verdicts("coverage", ensembles(spread=1.2)) == {"fail"}
    (pair,) = ensembles()
    ahead = pair.theory.dataset.assign(f_shift=-pair.theory["f_shift"])
    ahead = type(pair.theory)(ahead.assign_attrs(pair.theory.dataset.attrs))
    assert verdicts("lagging", [Pair(ahead)]) == {"fail"}


def widening(power=0.5, shift=0.4, skewed=0.0):
    """Ensembles f = 1 + Z N^-power + beta/N with controlled shifts, against beta = 0.4."""
    N, E, rng = np.array([16, 64, 256]), 2000, np.random.default_rng(4)
    Z, rest = rng.standard_normal((2, 3, E, 2, 1))
    wide = N[:, None, None, None]
    kernel = rng.gamma(wide, size=(3, E, 2, 1)) / wide**0.5 + skewed * rng.exponential(
        10, (3, E, 2, 1)
    )
    left = shift + 0.2 * rest
    theory = made("theory", {
        "f": np.ones((2, 1)), "f_nvar": np.ones((2, 1)), "f_shift": np.full((2, 1), 0.4),
        "ntk": np.ones((2, 1, 1)), "ntk_shift": np.full((2, 1, 1), 0.4),
        "loss": np.ones(2), "loss_shift": np.full(2, 0.4),
    }, config())  # fmt: skip
    networks = made("experiment", {
        "f": 1 + Z / wide**power + left / wide, "f_shift": left, "ntk": kernel[..., None],
        "ntk_shift": left[..., None], "loss": 1 + left[..., 0], "loss_shift": left[..., 0],
    }, config(), N, E)  # fmt: skip
    return [Pair(theory, networks)]


def test_other_laws_in_the_width_fail():
    assert verdicts("width-laws", widening()) == {"pass"}
    slow = CLAIMS["width-laws"](widening(power=0.4))
    assert [one.verdict for one in slow] == ["fail", "pass", "pass"]
    skewed = CLAIMS["width-laws"](widening(skewed=1.0))
    assert [one.verdict for one in skewed] == ["pass", "pass", "fail"]


def test_other_mean_shifts_fail():
    assert verdicts("mean-shift", widening()) == {"pass"}
    assert verdicts("mean-shift", widening(shift=0.6)) == {"fail"}


def test_figures_draw_from_results_alone():
    """Those of claims above; all are drawn in `validate` from whole studies."""
    for name, pairs in (("strengths", [rich(1.0), rich(2.0)]), ("bands", ensembles()),
                        ("catapult", [stable(False, 1.9), stable(True, 4.0)]),
                        ("depths", [deep(0.25, 2), deep(3.0, 2)])):  # fmt: skip
        figure = FIGURES[name].draw(pairs)
        assert all(panel.get_xlabel() for panel in figure.axes)
        assert figure.axes[0].get_ylabel()


def test_claims_without_networks_say_so():
    for name in ("variances", "width-laws", "mean-shift", "ensembling", "coverage"):
        with pytest.raises(InvalidProblem, match="needs networks"):
            CLAIMS[name]([Pair(rich(1.0).theory)])
