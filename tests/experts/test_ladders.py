"""Exponents, verdicts and optima from made-up measurements, whose answers are known."""

import numpy as np
import pytest
from typer.testing import CliRunner

from orderparam.cli import app as cli
from orderparam.errors import InvalidProblem, MissingExtra
from orderparam.experts import Shape, role_table
from orderparam.experts.evidence.coordinate_check import coordinate_check
from orderparam.experts.evidence.transfer import judged, learning_rate_transfer
from orderparam.experts.models.find import find_builder
from orderparam.experts.theory.expectations import expectation
from orderparam.experts.theory.exponents import fit, judge, judge_all
from orderparam.support.extras import needed

SIZES = np.array([1.0, 2.0, 4.0, 8.0])
BASE = Shape(width=64, experts=8, expert_width=4)
PLAN = role_table(BASE, Shape(width=512, experts=64, expert_width=4), parameterization="mssp")


def law(slope, noise=0.0, seeds=4):
    generator = np.random.default_rng(0)
    return SIZES**slope * 2 ** (noise * generator.standard_normal((seeds, 4)))


def test_fits_recover_a_power_law_and_its_error():
    slope, se, low, high, slope_all = fit(law(-0.5), SIZES)
    assert (slope, slope_all) == (pytest.approx(-0.5), pytest.approx(-0.5))
    assert (se, high - low) == (pytest.approx(0.0, abs=1e-12), pytest.approx(0.0, abs=1e-12))
    bent = law(0.0)
    bent[:, 0] = 16.0  # only the largest three sizes are judged
    assert fit(bent, SIZES)[0] == pytest.approx(0.0)
    assert fit(bent, SIZES)[4] == pytest.approx(-1.2)


def test_intervals_cover():
    """The 95 % interval holds the true slope in 91 to 98 % of 400 made-up ladders."""
    generator = np.random.default_rng(1)
    inside = 0
    for _ in range(400):
        values = SIZES**0.3 * 2 ** (0.2 * generator.standard_normal((3, 4)))
        _, _, low, high, _ = fit(values, SIZES)
        inside += low <= 0.3 <= high
    assert 0.91 <= inside / 400 <= 0.98


@pytest.mark.parametrize(
    ("observable", "step", "slope", "verdict"),
    [
        ("agg/base", 1, 0.05, "pass"),
        ("agg/base", 1, -0.5, "fail"),
        ("act/o", 5, 0.5, "pass"),
        ("act/o", 5, 0.0, "fail"),
        ("agg/eff", 20, -0.2, "pass"),
        ("agg/eff", 20, 0.2, "fail"),
        ("agg/cross", 1, -0.5, "not judged"),
        ("agg/cross", 5, -0.5, "fail"),
        ("grad/expert_out", 20, -2.0, "pass"),
        ("grad/expert_out", 20, -1.5, "fail"),
        ("grad/router", 1, -2.0, "not judged"),
        ("loss", 5, -2.0, "not judged"),
    ],
)
def test_verdicts(observable, step, slope, verdict):
    assert judge(observable, step, law(slope), SIZES, PLAN).verdict == verdict


def test_what_the_seeds_cannot_tell_is_undecided():
    slopes = np.array([0.1, 0.115, 0.13])
    values = SIZES[None, :] ** slopes[:, None]
    line = judge("act/u", 5, values, SIZES, PLAN)
    assert (round(line.slope, 3), line.verdict) == (0.115, "undecided")
    assert judge("act/u", 5, values[1:2], SIZES, PLAN).verdict == "fail"


def test_many_observables_have_one_level():
    """Of 40 made-up checks, each of 50 observables at the very edge of their tolerance."""
    generator = np.random.default_rng(2)
    alone = together = 0
    for _ in range(40):
        noise = 2 ** (0.1 * generator.standard_normal((50, 3, 4)))
        found = [(f"act/{i}", 5, SIZES**0.1 * values) for i, values in enumerate(noise)]
        alone += any(judge(*each, SIZES, PLAN).verdict == "fail" for each in found)
        together += any(line.verdict == "fail" for line in judge_all(found, SIZES, PLAN))
    assert alone > 20
    assert together <= 6  # 2 are expected
    found.append(("agg/base", 5, SIZES**-0.5 * noise[0]))
    lines = judge_all(found, SIZES, PLAN)
    assert [line.observable for line in lines if line.verdict == "fail"] == ["agg/base"]


def test_noise_widens_the_tolerance_and_nan_fails():
    line = judge("act/u", 5, law(0.0, noise=0.6), SIZES, PLAN)
    assert line.se > 0.05
    assert line.verdict == "pass"
    values = law(0.0)
    values[0, 0] = np.nan
    assert judge("act/u", 5, values, SIZES, PLAN).verdict == "fail"
    zero = judge("prop/router", 0, np.zeros((2, 4)), SIZES, PLAN)
    assert (zero.verdict, "zero" in zero.note) == ("not judged", True)
    assert np.isnan(expectation("router/used", 5, PLAN).predicted)


def losses(optimum_of, depth=0.1):
    """Parabolas in log2(factor) with a given optimum for every size."""
    x = np.log2(FACTORS)
    grid = [(x - optimum_of(s)) ** 2 + 1.0 - depth * np.log2(s) for s in (1, 2, 4)]
    return np.stack([np.array(grid), np.array(grid) + 0.01], axis=2)


FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)


def test_optima_that_stay_and_optima_that_move():
    fixed = judged((1, 2, 4), FACTORS, losses(lambda s: 0.2), {})
    assert fixed.passed
    assert [o.factor for o in fixed.optima] == pytest.approx([2**0.2] * 3)
    assert fixed.shift == pytest.approx(0.0, abs=1e-9)
    moving = judged((1, 2, 4), FACTORS, losses(lambda s: -0.9 * np.log2(s) + 0.8), {})
    assert not moving.stays
    assert moving.improves
    assert moving.shift == pytest.approx(-0.9, abs=1e-6)
    worse = judged((1, 2, 4), FACTORS, losses(lambda s: 0.2, depth=-0.1), {})
    assert (worse.stays, worse.improves, worse.passed) == (True, False, False)


def test_what_is_said_of_an_optimum():
    fixed = judged((1, 2, 4), FACTORS, losses(lambda s: 0.2), {})
    assert "the optimum stays" in fixed.sentence
    edge = judged((1, 2, 4), FACTORS, losses(lambda s: 5.0), {})
    assert edge.shift == 0.0
    assert "MOVES" not in edge.sentence
    assert "of sizes 1, 2, 4 is at an end of the grid" in edge.sentence
    # There and back: the slope over the ladder is zero, and yet it moves.
    back = judged((1, 2, 4), FACTORS, losses(lambda s: 1.5 * (s == 2) - 0.5), {})
    assert back.shift == pytest.approx(0.0, abs=1e-9)
    assert "MOVES by 1.50 octaves" in back.sentence


def test_diverged_runs_and_edges_are_not_optima():
    grid = losses(lambda s: 0.2)
    grid[:, 3:] = np.inf
    result = judged((1, 2, 4), FACTORS, grid, {})
    assert [o.factor for o in result.optima] == [1.0] * 3
    assert result.plain()["loss"][0][4] == [None, None]
    edge = judged((1, 2, 4), FACTORS, losses(lambda s: 5.0), {})
    assert all(o.edge for o in edge.optima)
    assert not edge.stays
    grid[:] = np.inf
    assert not judged((1, 2, 4), FACTORS, grid, {}).improves


@pytest.mark.parametrize(
    "grid",
    [{"sizes": (2, 1)}, {"factors": (1.0, 2.0)}, {"factors": (-1.0, 1.0, 2.0)}, {"seeds": 0}],
)
def test_impossible_sweeps(grid, monkeypatch):
    monkeypatch.setattr("orderparam.experts.experiment.sweep.needed", lambda *names: None)
    with pytest.raises(InvalidProblem):
        learning_rate_transfer(lambda *a, **k: None, **grid)


def test_without_an_extra_its_name_is_said(monkeypatch):
    with pytest.raises(MissingExtra, match=r"orderparam\[torch\]"):
        needed("no_such_package", "torch")
    monkeypatch.setattr("orderparam.support.extras.import_module", _missing)
    with pytest.raises(MissingExtra, match="pip install"):
        find_builder("mlp-mixture")


def good(size, seed, parameterization, *, regime="II", factor=1.0):
    raise ZeroDivisionError("of its own")


@pytest.mark.parametrize(
    ("builder", "settings", "message"),
    [
        (good, {}, r"builder 'good' failed \(ZeroDivisionError: of its own\)"),
        (good, {"regim": "I"}, r"no argument `regim`.*Did you mean 'regime'"),
        (lambda size, seed, parameterization, factor=1: None, {}, "must be a Setup, but is None"),
    ],
)
def test_errors_of_a_builder_are_one_sentence(builder, settings, message, monkeypatch):
    for room in ("sweep", "ladder"):
        monkeypatch.setattr(f"orderparam.experts.experiment.{room}.needed", lambda *names: None)
    for check in (learning_rate_transfer, coordinate_check):
        with pytest.raises(InvalidProblem, match=message):
            check(builder, **settings)


@pytest.mark.parametrize("text", ["raise OSError('no disk')", "1 +", "build = 3", "import absent"])
def test_modules_that_cannot_be_imported(text, tmp_path, monkeypatch):
    monkeypatch.setattr("orderparam.experts.models.find.needed", lambda *names: None)
    monkeypatch.chdir(tmp_path)
    name = f"module{abs(hash(text))}"
    (tmp_path / f"{name}.py").write_text(text)
    result = CliRunner().invoke(cli.app, ["check", f"{name}:build"])
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert len(result.stderr.splitlines()) == 1


def _missing(name):
    raise ModuleNotFoundError(name)
