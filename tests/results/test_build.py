"""Building, viewing and showing a solution."""

import numpy as np
import pytest

import orderparam as op
from orderparam.errors import InvalidProblem
from orderparam.results import Coordinate, Solution, Variable, Verdict, build_solution


def build(variables=None, coords=None, **changes) -> Solution:
    time = np.arange(3)
    settings = {
        "family": "kernels",
        "kind": "theory",
        "problem": {"gamma0": 1.0, "layers": (1, 2)},
        "method": {"name": "causal", "replicates": 8},
        "seed": 3,
        "verdict": Verdict.CONVERGED,
        "message": "as expected",
        "diagnostics": {"ranks": np.array([22, 54]), "worst": np.float64("nan")},
        "precision": "float64",
        "device": "cpu",
        "wall_time": 1.5,
        "compile_time": None,
        "sources": ["bordelon2022", "bolthausen2014"],
    }
    loss = np.array([1.0, 0.5, 0.276894])
    if variables is None:
        variables = {
            "loss": Variable(
                ("time",), loss, "training loss", "L", se=np.array([0.1, 0.1, 4.2e-4])
            ),
            "mse": Variable(("time",), 2 * loss, "mean squared error"),
        }
    coords = {"time": Coordinate(("time",), time, "steps", "steps")} if coords is None else coords
    return build_solution(variables, coords, **(settings | changes))


def test_variables_errors_and_descriptions():
    solution = build()
    assert solution.variables == ("loss", "mse")
    assert list(solution.dataset.data_vars) == ["loss", "loss_se", "mse"]
    assert solution["loss"].attrs["standard_error"] == "loss_se"
    assert solution.problem == {"gamma0": 1.0, "layers": [1, 2]}
    assert solution.diagnostics == {"ranks": [22, 54], "worst": "nan"}
    assert (solution.seed, solution.kind, solution.family) == (3, "theory", "kernels")
    assert solution.verdict is Verdict.CONVERGED
    assert solution.message == "as expected"
    assert "compile_time" not in solution.dataset.attrs
    assert "loss_se" in solution
    assert "Phi" not in solution
    with pytest.raises(KeyError, match=r"no variable 'Phi'.*loss, mse"):
        solution["Phi"]


def test_a_solution_never_changes():
    values = np.ones(3)
    solution = build({"loss": Variable(("time",), values, "loss")})
    values[0] = 7
    solution.dataset["new"] = 1
    solution.dataset.attrs["seed"] = 99
    assert solution["loss"].values[0] == 1
    assert "new" not in solution
    assert solution.seed == 3
    with pytest.raises(ValueError, match="read-only"):
        solution["loss"].values[0] = 5


def test_status_screen_cuts_digits_at_the_error():
    text = repr(build())
    for part in ("causal", "converged: Each number", "time 3", "0.2769(5)", "ranks=[22, 54]"):
        assert part in text
    for part in ("seed 3", "float64", "cpu", "1.5 s", "jax ", "gamma0=1"):
        assert part in text
    html = build(message="<b>")._repr_html_()
    assert "&lt;b&gt;" in html
    assert "xr-wrap" in html


def test_status_screen_of_an_experiment_uses_valid_runs_only():
    loss = np.array([[[9.0], [1.0], [3.0]], [[2.0], [2.2], [np.nan]]])
    valid = np.array([[False, True, True], [True, True, False]])
    variables = {
        "loss": Variable(("width", "seed", "time"), loss, "loss"),
        "run_valid": Variable(("width", "seed"), valid, "whether the run ended"),
    }
    coords = {"width": Coordinate(("width",), np.array([64, 128]), "width")}
    text = repr(build(variables, coords, kind="experiment"))
    assert "2.1(1) at width 128 (2 seeds), 2(1) at width 64 (2 seeds)" in text


@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_has_a_remedy(verdict):
    assert verdict.remedy.endswith(".")
    assert "; " in verdict.remedy or "," in verdict.remedy
    assert verdict.ok == (verdict is Verdict.CONVERGED)
    assert Verdict(str(verdict)) is verdict


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variables": {"f": Variable(("a", "b"), np.ones(3), "f")}}, "1 axes, but 2 dimensions"),
        ({"variables": {"f": Variable(("time",), np.ones(4), "f")}}, "length 3 in 'time' but 4"),
        ({"variables": {"f": Variable((), np.array(1j), "f")}}, "type complex128"),
        ({"variables": {"f": Variable((), np.ones((), np.float16), "f")}}, "type float16"),
        ({"variables": {"time": Variable(("time",), np.ones(3), "t")}}, "variable and as coord"),
        (
            {
                "variables": {
                    "f": Variable((), np.array(1.0), "f", se=np.array(0.1)),
                    "f_se": Variable((), np.array(1.0), "f"),
                }
            },
            "'f_se' is given too",
        ),
        ({"variables": {"f": Variable((), np.array(1.0), "f", se=np.ones(2))}}, "1 axes, but 0"),
        ({"problem": {"a": {"b": object()}}}, r"`problem.a.b` is of type object"),
        ({"diagnostics": {"a": {1: 2}}}, "`diagnostics.a` has the key 1"),
    ],
)
def test_mistakes_are_named(changes, message):
    with pytest.raises(InvalidProblem, match=message):
        build(**changes)


def test_an_unknown_source_is_named():
    with pytest.raises(InvalidProblem, match="did you mean 'bordelon2022'"):
        op.citation(build(sources=["bordelom2022"]))


def test_citation_gives_each_source_once():
    text = op.citation(build(sources=["bordelon2022", "bolthausen2014", "bordelon2022"]))
    assert text.count("@") == 2
    assert text.startswith("@inproceedings{bordelon2022,")
    assert "eprint = {2205.09653}" in text
    assert text.count("{") == text.count("}")
