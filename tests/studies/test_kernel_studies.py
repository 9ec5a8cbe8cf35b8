"""The built-in studies of kernel evolution at tiny size, and their claims on wrong results."""

import json

import numpy as np
import pytest

import orderparam as op
from orderparam.kernels.evidence import claims, claims_limits
from orderparam.kernels.evidence.figures import FIGURES
from orderparam.kernels.theory.two_steps import first_predictions
from orderparam.results import Pair, Solution
from orderparam.studies.catalog import builtin, find
from orderparam.studies.overrides import resolve
from orderparam.studies.runner import run_study

SMALL = ("experiment.width=[16, 32, 64]", "experiment.seeds=3")
SAMPLED = ("theory.samples=256", "theory.replicates=2", "theory.tolerance=1e-2")
OWN = ("theory.causal.samples=256", "theory.causal.replicates=2", "theory.causal.tolerance=1e-2")
INDEPENDENT = tuple(setting.replace("causal", "gradient-independence") for setting in OWN)
TINY = {
    "agreement-tanh": (
        *SMALL, *SAMPLED, "problem.steps=5", "save.steps=3", "problem.network.depth=[2]",
        "problem.gamma0=[0.2, 1.0]",
    ),
    "agreement-relu": (
        *SMALL, *SAMPLED, "problem.steps=5", "save.steps=3", "problem.network.depth=[1]",
        "problem.gamma0=[0.2, 1.0]",
    ),
    "feature-learning": (
        *SMALL, *SAMPLED, "problem.steps=21", "save.steps=6", "problem.data.count=2",
        "problem.network.depth=1", "problem.gamma0=[0.05, 4.0]",
    ),
    "deep-linear": (*SMALL, "problem.steps=101", "save.steps=21", "problem.data.count=3"),
    "method-errors": (
        *SMALL, *OWN, *INDEPENDENT, "theory.alternating.samples=64", "problem.steps=4",
        "theory.alternating.replicates=2", "theory.perturbation.samples=256",
        "theory.perturbation.replicates=2", "problem.network.depth=1", "problem.gamma0=[0.5, 2.0]",
        "save.steps=4",
    ),
    "single-site": (
        *SMALL, *SAMPLED, "problem.steps=5", "problem.gamma0=[0.05, 4.0]",
        'save.steps=["first", "last"]', 'save.fields_at=["first", "last"]',
    ),
    "yang-hu": (*SMALL, "problem.steps=4", "theory.samples=4096", "theory.replicates=4"),
    # 0.25 = 1/sqrt(16), where networks in both parameterizations are the same.
    "parameterizations": (
        *SMALL, *OWN, "problem.steps=5", "save.steps=5", "problem.gamma0=[2.0, 0.25]",
    ),
}  # fmt: skip


def run(store, name, *settings):
    """Without figures, which would be drawn and written twice; the tests draw them from results."""
    text, source = find(name)
    study, source = resolve(text, source, settings=("figures=[]", *settings))
    return run_study(study, source, store=store, progress=False)


def pairs_of(finished):
    load = {}
    pairs = []
    for case in finished.summary["cases"]:
        for kind in ("theory", "experiment"):
            file = case[kind]["file"]
            load.setdefault(file, op.load(finished.folder / file))
        files = (case["theory"]["file"], case["experiment"]["file"])
        pairs.append(Pair(load[files[0]], load[files[1]], case["label"]))
    return pairs


def changed(solution, **variables):
    """A result with other values of some variables."""
    data = solution.dataset
    return Solution(data.assign({n: data[n].copy(data=v) for n, v in variables.items()}))


def verdicts(found):
    return {finding.statement: finding.verdict for finding in found}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Every tiny study, run once when it is first asked for."""
    store, kept = tmp_path_factory.mktemp("store"), {}

    def get(name, *more):
        if (name, more) not in kept:
            kept[name, more] = run(store, name, *TINY[name], *more)
        return kept[name, more]

    return get


def test_every_study_of_the_family_has_a_tiny_version():
    names = {study.name for study in builtin() if study.claims and "kernels" in str(study.problem)}
    assert set(TINY) <= names


# The others run their claims below; these need as long again and show nothing new.
SLOW = ("method-errors", "parameterizations", "agreement-tanh")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.validate) if n in SLOW else n for n in TINY]
)
def test_studies_run_with_figures_and_findings(runs, name):
    finished = runs(name)
    text, _ = find(name)
    study, _ = resolve(text, name, settings=TINY[name])
    assert finished.summary["claims"]
    assert all(case["verdict"] != "error" for case in finished.summary["cases"])
    for finding in finished.summary["claims"]:
        assert np.isfinite(float(finding["measured"])), finding
    pairs = pairs_of(finished)
    for kind in map(FIGURES.get, study.figures):
        shown = [p for p in pairs if all(need in p.theory for need in kind.needs)]
        assert shown, "no case has what the figure needs"
        shown = shown[:1] if kind.each_case else shown
        for group in [shown] if kind.runs else [shown, [Pair(p.theory) for p in shown]]:
            figure = kind.draw(group)
            assert figure.get_suptitle()
            assert figure.axes[0].get_ylabel()
            assert any(panel.get_xlabel() for panel in figure.axes)
            if group is shown:
                figure.draw_without_rendering()


TWO_METHODS = 'theory.method=["causal", "static-ntk"]'
"""Each method compiles for seconds; what is said of cases of several methods holds for two."""


def test_methods_share_their_networks(runs):
    cases = runs("method-errors", TWO_METHODS).summary["cases"]
    assert len({case["experiment"]["file"] for case in cases}) == 2
    assert len({case["theory"]["file"] for case in cases}) == 4


def test_the_quadrature_is_the_theory_and_sees_small_errors(runs):
    pairs = pairs_of(runs("yang-hu"))
    assert set(verdicts(claims.two_steps(pairs)).values()) == {"pass"}
    pair = pairs[1]
    late = np.concatenate([pair.theory["f"].values[1:], pair.theory["f"].values[-1:]])
    for wrong in (1.002 * pair.theory["f"].values, late):
        found = claims.two_steps([Pair(changed(pair.theory, f=wrong), pair.experiment)])
        assert "fail" in verdicts(found).values()


def test_the_quadrature_of_a_linear_network_is_exact():
    """f(1) = (eta/P) (1 + Phi^0) Phi^0-weighted labels, from E[u^2] = Phi^0 and E[w^2] = 1."""
    data = op.data.gaussian(count=2, dimension=6)
    problem = op.kernels.KernelEvolution(
        op.kernels.MLP(1, "linear"), data, gamma0=1.3, learning_rate=0.4, steps=3
    )
    exact = op.solve(problem, progress=False)
    np.testing.assert_allclose(first_predictions(exact), exact["f"].values, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(first_predictions(exact)[1], 0.4 / 2 * 2 * data.gram() @ data.y)


def test_dropped_responses_fail(tmp_path):
    """The same networks, and a causal method that drops the responses."""
    settings = (
        'theory.method=["causal"]', "problem.gamma0=[4.0]", "problem.network.depth=2",
        "problem.steps=15", "save.steps=15", "experiment.width=[64, 128, 256]",
        "experiment.seeds=[24, 24, 24]", "theory.causal.samples=1024",
        "theory.causal.tolerance=1e-3",
    )  # fmt: skip
    right = run(tmp_path, "method-errors", *settings)
    wrong = run(tmp_path, "method-errors", *settings, "theory.causal.response=false")
    (true,), (false,) = pairs_of(right), pairs_of(wrong)
    for claim in (claims.breakdown, claims.full_theory):
        assert set(verdicts(claim([true])).values()) == {"pass"}
        assert set(verdicts(claim([false])).values()) == {"fail"}
    slopes = verdicts(claims.widths([true]))
    assert set(slopes.values()) == {"pass"}
    flat = verdicts(claims.widths([false]))
    assert flat[next(statement for statement in flat if statement.startswith("f: slope"))] == "fail"


def test_approximations_that_do_not_break_down_fail(runs):
    pairs = pairs_of(runs("method-errors", TWO_METHODS))
    assert FIGURES["method-errors"].draw(pairs).axes
    cases = [p for p in pairs if p.theory.method["name"] == "causal"]
    renamed = [
        Pair(Solution(p.theory.dataset.assign_attrs(method=json.dumps({"name": "approximate"}))),
             p.experiment)
        for p in cases
    ]  # fmt: skip
    assert "fail" in verdicts(claims.breakdown(renamed)).values()


def test_wrong_order_of_strengths_fails(runs, monkeypatch):
    pairs = pairs_of(runs("feature-learning"))
    monkeypatch.setattr(claims, "gamma0", lambda pair: -pair.theory.problem["gamma0"])
    assert set(verdicts(claims.feature_learning(pairs)).values()) == {"fail"}


def test_growth_that_is_not_silent_fails(runs, tmp_path):
    settings = (*TINY["deep-linear"], "problem.network.weight_std=1.0", "problem.gamma0=[0.3]")
    assert set(verdicts(claims.silent_growth(pairs_of(runs("deep-linear")))).values()) == {"pass"}
    loud = claims.silent_growth(pairs_of(run(tmp_path, "deep-linear", *settings)))
    assert [finding.verdict for finding in loud if "90 %" in finding.statement] == ["fail"]


def test_neurons_of_another_law_fail(runs):
    pairs = pairs_of(runs("single-site"))
    rng = np.random.default_rng(0)
    shape = pairs[0].experiment["h"].shape
    wrong = [
        Pair(p.theory, changed(p.experiment, h=rng.choice([-1.0, 1.0], shape)), p.label)
        for p in pairs
    ]
    found = verdicts(claims.single_site(wrong))
    assert all(v == "fail" for s, v in found.items() if s.startswith("h: largest Kolmogorov"))
    assert all(v == "pass" for s, v in found.items() if s.startswith("z: largest Kolmogorov"))


@pytest.mark.validate
def test_networks_of_another_parameterization_fail(runs, monkeypatch):
    pairs = pairs_of(runs("parameterizations"))
    (same,) = [f for f in claims.limits(pairs) if "N = 16" in f.statement]
    assert same.verdict == "pass"
    real = claims_limits.parameterization
    swap = {"mean_field": "standard", "ntk": "ntk", "standard": "mean_field"}
    monkeypatch.setattr(claims_limits, "parameterization", lambda pair: swap[real(pair)])
    (same,) = [f for f in claims.limits(pairs) if "N = 16" in f.statement]
    assert same.verdict == "fail"
    moved = [f for f in claims.limits(pairs) if "in mean_field networks" in f.statement]
    assert [finding.verdict for finding in moved] == ["fail"]
