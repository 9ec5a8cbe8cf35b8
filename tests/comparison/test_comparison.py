"""Verdicts on pairs of theory and experiment."""

import json

import numpy as np
import pytest

import orderparam as op
from orderparam.comparison import compare
from orderparam.errors import IncompatibleSolutions, InvalidProblem
from orderparam.results import Coordinate, Solution, Variable, Verdict, build_solution

TIME = np.arange(12)
TRUTH = {"loss": np.exp(-TIME / 4.0) + 0.2, "mse": 2 * np.exp(-TIME / 4.0) + 0.4}
WIDTHS = np.array([128, 256, 512])


def build(variables, coords, kind, **changes):
    settings = {
        "family": "kernels",
        "kind": kind,
        "problem": {"gamma0": 1.0, "network": {"depth": 3, "sizes": [1, 2]}},
        "method": {"name": "causal", "replicates": 8},
        "seed": 0,
        "verdict": Verdict.CONVERGED,
        "message": "",
        "diagnostics": {},
        "precision": "float64",
        "device": "cpu",
        "wall_time": 0.1,
        "compile_time": None,
        "sources": ["bordelon2022"],
    }
    time = {"time": Coordinate(("time",), TIME, "steps")}
    return build_solution(variables, time | coords, **(settings | changes))


def theory(shift=0.0, coords=None, names=("loss", "mse"), **changes):
    variables = {n: Variable(("time",), TRUTH[n] * (1 + shift), n) for n in names}
    return build(variables, coords or {}, "theory", **changes)


def experiment(widths=WIDTHS, seeds=6, bias=5.0, noise=1.0, valid=None, coords=None, **changes):
    rng = np.random.default_rng(0)
    valid = np.ones((len(widths), seeds), bool) if valid is None else valid
    variables = {"run_valid": Variable(("width", "seed"), valid, "run ended")}
    inverse = 1 / widths[:, None, None]
    for name, truth in TRUTH.items():
        draws = rng.standard_normal((len(widths), seeds, 1)) * np.ones(len(TIME))
        runs = truth * (1 + bias * inverse + noise * draws * np.sqrt(inverse))
        runs[~valid] = np.nan
        variables[name] = Variable(("width", "seed", "time"), runs, name)
    labels = {"width": Coordinate(("width",), widths, "width")} | (coords or {})
    return build(variables, labels, "experiment", **changes)


@pytest.mark.parametrize("size", ["dimension", "size"])
def test_the_size_has_the_family_s_name(size):
    runs = Solution(experiment().dataset.rename(width=size))
    assert compare(theory(), runs).verdict == "pass"
    assert compare(theory(0.5), runs).verdict == "fail"
    assert f"at {size} 512" in " ".join(repr(runs).split())
    assert compare(theory(), runs).plot() is not None


def test_a_right_theory_passes_and_a_wrong_one_fails():
    result = compare(theory(), experiment())
    assert [row.variable for row in result.table] == ["loss", "mse"]
    assert {row.verdict for row in result.table} == {"pass"}
    assert result.verdict == "pass"
    wrong = compare(theory(0.5), experiment())
    assert wrong.verdict == "fail"
    assert wrong.table[0].z > 3


def test_fewer_than_three_widths_leave_a_biased_one_undecided():
    one = experiment(widths=np.array([512]), bias=200.0)
    row = compare(theory(), one, variables=["loss"]).table[0]
    assert row.p_value < 1e-3
    assert row.verdict == "undecided"
    assert "three sizes" in row.note
    three = experiment(bias=200.0)
    assert compare(theory(), three, variables=["loss"]).verdict == "pass"


def test_ragged_seeds_are_masked():
    valid = np.array([[True] * 6, [True] * 4 + [False] * 2, [True] * 3 + [False] * 3])
    assert compare(theory(), experiment(valid=valid)).verdict == "pass"
    gone = np.array([[False] * 6, [True] * 6, [True] * 6])
    row = compare(theory(0.9), experiment(valid=gone)).table[0]
    assert "three sizes" in row.note


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"seeds": 1}, "single valid run"),
        ({"valid": np.zeros((3, 4), bool), "seeds": 4}, "no run is valid"),
        ({"noise": 40.0}, "more seeds"),
        ({"verdict": Verdict.DIVERGED}, "experiment ended with the verdict 'diverged'"),
    ],
)
def test_what_cannot_be_decided_says_why(changes, note):
    result = compare(theory(), experiment(**changes))
    assert result.verdict == "undecided"
    assert all(note in row.note for row in result.table)


def test_values_that_are_not_finite_are_never_a_pass():
    variables = {"loss": Variable(("time",), np.full(len(TIME), np.nan), "loss")}
    row = compare(build(variables, {}, "theory"), experiment()).table[0]
    assert row.verdict == "undecided"
    assert "theory has entries that are not finite" in row.note


def test_a_theory_that_did_not_converge_never_passes():
    result = compare(theory(verdict=Verdict.NOT_CONVERGED), experiment())
    assert result.verdict == "undecided"
    assert compare(theory(0.5, verdict=Verdict.NOT_CONVERGED), experiment()).verdict == "fail"


def test_single_precision_explains_rounding_of_certain_values():
    sure = np.full((3, 6, len(TIME)), 0.1, np.float32)
    variables = {"loss": Variable(("width", "seed", "time"), sure, "loss")}
    labels = {"width": Coordinate(("width",), WIDTHS, "width")}
    exact = build({"loss": Variable(("time",), np.full(len(TIME), 0.1), "loss")}, {}, "theory")
    single = build(variables, labels, "experiment", precision="float32")
    assert compare(exact, single).verdict == "pass"
    assert compare(exact, build(variables, labels, "experiment")).verdict == "fail"


def test_axes_are_aligned_by_name():
    rng = np.random.default_rng(1)
    kernel = 1 + rng.random((4, len(TIME)))
    runs = kernel.T[:, None, None, :] + 0.01 * rng.standard_normal((len(TIME), 3, 6, 4))
    variables = {"G": Variable(("time", "width", "seed", "layer"), runs, "G")}
    labels = {"width": Coordinate(("width",), WIDTHS, "width")}
    moved = build({"G": Variable(("width", "seed", "time", "layer"), runs.transpose(1, 2, 0, 3),
                                 "G")}, labels, "experiment")  # fmt: skip
    side = build({"G": Variable(("layer", "time"), kernel, "G")}, {}, "theory")
    assert compare(side, moved).verdict == "pass"
    assert compare(side, build(variables, labels, "experiment")).verdict == "pass"


def different(**changes):
    return theory(problem={"gamma0": 1.0, "network": {"depth": 3, "sizes": [1, 2]}} | changes)


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        (lambda: experiment(), lambda: theory(), "an? experiment and then a theory"),
        (lambda: different(gamma0=2.0), experiment, r"`problem.gamma0` is 2.0 .* but 1.0"),
        (lambda: different(network={"depth": 3}), experiment, "network.sizes` is given by only"),
        (
            lambda: different(network={"depth": 3, "sizes": [1, 3]}),
            experiment,
            r"`problem.network.sizes\[1\]` is 3",
        ),
        (lambda: theory(family="online"), experiment, "`family` is 'online'"),
        (theory, lambda: experiment(widths=np.array([64, 64, 128])), "must be positive and dist"),
        (
            lambda: theory(coords={"eta_t": Coordinate(("time",), TIME * 0.1, "time")}),
            experiment,
            "Only the theory has the coordinate 'eta_t'",
        ),
        (
            lambda: theory(coords={"time": Coordinate(("time",), TIME + 1, "steps")}),
            experiment,
            r"coordinate 'time' of 'loss' differs: theory \[1, 2, 3, 4\]",
        ),
    ],
)
def test_the_first_difference_is_named(left, right, message):
    with pytest.raises(IncompatibleSolutions, match=message):
        compare(left(), right())


def test_dimensions_and_lengths_must_match():
    flat = build({"loss": Variable((), np.array(1.0), "loss")}, {}, "theory")
    with pytest.raises(IncompatibleSolutions, match="has dimensions"):
        compare(flat, experiment())
    short = {"time": Coordinate(("time",), TIME[:5], "steps")}
    cut = build({"loss": Variable(("time",), TRUTH["loss"][:5], "loss")}, short, "theory")
    with pytest.raises(IncompatibleSolutions, match="length 5 in the theory but 12"):
        compare(cut, experiment())
    with pytest.raises(IncompatibleSolutions, match="'Phi' was asked for"):
        compare(theory(), experiment(), variables=["Phi"])


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, float("nan")])
def test_level_is_a_probability(level):
    with pytest.raises(InvalidProblem, match="`level` must be a finite number above 0 and below 1"):
        compare(theory(), experiment(), level=level)


def test_the_level_belongs_to_the_whole_table():
    result = compare(theory(), experiment())
    smallest = min(row.p_value for row in result.table)
    # Above the smallest p but below twice it, one row alone fails and the table of two does not.
    level = 1.5 * smallest
    name = min(result.table, key=lambda row: row.p_value).variable
    assert compare(theory(), experiment(), level=level).verdict == "pass"
    assert compare(theory(), experiment(), variables=[name], level=level).verdict == "fail"


def test_shown_and_saved(tmp_path):
    result = compare(theory(), experiment(seeds=1))
    assert "undecided" in repr(result)
    assert "single valid run" in repr(result)
    assert "loss" in result._repr_html_()
    content = json.loads(result.save(tmp_path / "c.json").read_text(encoding="utf-8"))
    assert content["verdict"] == "undecided"
    assert content["table"][0]["p_value"] == "nan"
    assert content["theory"]["method"]["name"] == "causal"
    assert op.citation(result).count("@") == 1


def counted(rate, events, trials, name="trials", sizes=(100, 200, 400), seeds=5):
    """A rate of the theory beside runs that count the given events in so many trials a size."""
    counts = np.array(trials)
    rates = np.array(events)[:, None] / counts[:, None] * np.ones((1, seeds))
    coords = {"width": Coordinate(("width",), np.array(sizes), "width")}
    variables = {
        "rate": Variable(("width", "seed"), rates, "rate", trials=name),
        "trials": Variable(("width",), counts, "trials of a run"),
    }
    runs = build(variables, coords, "experiment")
    return compare(build({"rate": Variable((), np.array(rate), "rate")}, {}, "theory"), runs)


def test_a_rate_without_events_is_compared_by_counting():
    """No event in 5 runs of 400 trials: a rate of 1e-4 is likely, one of 0.1 is not."""
    trials = (100, 200, 400)
    unlikely = counted(0.1, (0, 0, 0), trials).table[0]
    likely = counted(1e-4, (0, 0, 0), trials).table[0]
    assert (unlikely.verdict, likely.verdict) == ("fail", "undecided")
    assert 0 < likely.combined_se < np.sqrt(1e-4)
    assert np.isfinite([likely.z, unlikely.z]).all()
    exact = np.exp(-1e-4 * 5 * 700)
    assert exact / 3 < likely.p_value
    # Without the number of trials, equal runs leave no error, and any difference counts.
    blind = counted(1e-4, (0, 0, 0), trials, name="").table[0]
    assert (blind.verdict, blind.p_value) == ("fail", 0.0)
    assert counted(0.0, (0, 0, 0), trials).verdict == "pass"
    # All events instead of none.
    assert counted(1 - 1e-4, trials, trials).table[0].verdict == "pass"
    assert counted(0.9, trials, trials).table[0].verdict == "fail"
