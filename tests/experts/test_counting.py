"""Counting against the measured exponents of the theory page, and as a method of the library."""

import numpy as np
import pytest

import orderparam as op
from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.experts import Counting, Ladder, Transfer, Trap
from orderparam.experts.models.ladders import MLP, REFERENCES, grown, ladder_plan
from orderparam.experts.theory.predictions import initial_exponents, predictions, stable
from orderparam.experts.traps import TRAPS

TERMS = ("agg/base", "back/signal", "back/base")


def plan(regime, parameterization, sharing=None, optimizer="sgd"):
    return ladder_plan(
        "mlp-mixture", regime, parameterization=parameterization, sharing=sharing,
        optimizer=optimizer,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("regime", "parameterization", "sharing", "measured"),
    [
        ("between", "mup", None, (-0.52, -0.24, -0.47)),
        ("between", "mssp", "full", (-0.10, -0.31, -0.04)),
        ("between", "mssp", "none", (-0.02, 0.26, 0.03)),
        ("between", "mssp", "groups", (-0.04, 0.0, 0.01)),
        ("II", "mup", None, (-0.53, -0.50, -0.48)),
        ("II", "mssp", "groups", (-0.03, 0.0, 0.02)),
        ("III", "mup", None, (-0.53, 0.0, -0.47)),
        ("III", "mssp", "none", (-0.03, 0.50, 0.03)),
        ("III", "mssp", "groups", (-0.04, 0.0, 0.01)),
    ],
)
def test_terms_at_the_start(regime, parameterization, sharing, measured):
    """Within 0.12 of what was measured up to scale 16, where finite size is worth 0.1."""
    start = initial_exponents(plan(regime, parameterization, sharing))
    assert [start[name] for name in TERMS] == pytest.approx(measured, abs=0.12)


def test_output_and_logits_at_the_start():
    expected = {("II", "mup"): -1.0, ("II", "mssp"): -0.5, ("I", "mup"): -0.5}
    for (regime, name), value in expected.items():
        assert initial_exponents(plan(regime, name))["act/output"] == pytest.approx(value)
    assert initial_exponents(plan("I", "mup"))["act/psi"] == pytest.approx(-0.5)
    assert "act/psi" not in initial_exponents(plan("I", "mssp"))  # exactly zero
    assert initial_exponents(plan("II", "jiang2026"))["act/psi"] == pytest.approx(-0.5)
    assert initial_exponents(plan("II", "mssp"))["act/o"] == pytest.approx(0.5)


@pytest.mark.parametrize("regime", ["I", "II", "III", "between"])
def test_mssp_alone_is_stable(regime):
    assert stable(plan(regime, "mssp"))
    assert stable(plan(regime, "mssp", "groups"))
    assert not stable(plan(regime, "mup"))
    assert not stable(plan(regime, "sp"))
    if regime in ("III", "between"):
        assert not stable(plan(regime, "mssp", "none"))


def test_later_exponents():
    found = predictions(plan("II", "mssp"), MLP.roles, (0, 1, 20))
    assert found["grad/expert_out", 20] == pytest.approx(-2.0)
    assert found["grad/input", 20] == pytest.approx(-1.0)
    assert found["agg/cross", 20] == found["back/cross", 20] == 0.0
    assert ("agg/cross", 1) not in found  # a transient
    assert ("grad/router", 1) not in found
    assert ("prop/router", 20) not in predictions(plan("I", "mssp"), MLP.roles, (20,))
    found = predictions(plan("II", "sp", optimizer="adamw"), MLP.roles, (20,))
    assert [found[f"eff/{role}", 20] for role in ("router", "expert_in", "head")] == [1.0] * 3
    assert ("agg/prop", 20) not in found
    assert "eff/router" not in {name for name, _ in predictions(plan("II", "mup"), MLP.roles, (9,))}


@pytest.mark.parametrize(
    "problem",
    [Ladder(regime="III"), Ladder(parameterization="mup"), Transfer(), Trap("tied-logits", True)],
)
def test_the_contract_is_kept(problem):
    assert "citation" in op.check_theory(problem)


def test_solutions_say_what_they_hold():
    solution = op.solve(Ladder(model="transformer-mixture", optimizer="adamw", regime="II"))
    names = solution["prediction"].values.tolist()
    assert "agg/base after 20" in names
    assert "grad/attn_qkv after 20" in names
    value = solution["exponent"].sel(prediction="grad/expert_out after 20")
    assert float(value) == pytest.approx(-2.0)
    assert "does not keep" in op.solve(Ladder(parameterization="mup")).message
    short = op.solve(Ladder(steps=3), save=op.SavePlan(steps=[0, 2]))
    assert set(short["updates"].values) == {0, 2}
    assert float(op.solve(Transfer())["optimum_ratio"]) == 1.0
    for name, rule in TRAPS.items():
        assert float(op.solve(Trap(name))["outcome"]) == rule.trapped != rule.avoided
        assert op.solve(Trap(name, avoided=True)).message == rule.remedy


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Ladder(regime="IV"), InvalidProblem, "`regime` must be one of"),
        (lambda: Ladder(model="cnn"), InvalidProblem, "`model`"),
        (lambda: Ladder(optimizer="lion"), UnsupportedCombination, "trains with sgd, adamw"),
        (lambda: Ladder(model="transformer-mixture"), UnsupportedCombination, "trains with adamw"),
        (lambda: Ladder(parameterization="nup"), InvalidProblem, "`parameterization`"),
        (lambda: Ladder(parameterization="mup", sharing="full"), UnsupportedCombination, "mssp"),
        (lambda: Ladder(factor=-1.0), InvalidProblem, "`factor`"),
        (lambda: Ladder(steps=0), InvalidProblem, "`steps`"),
        (lambda: Transfer(factors=[1.0, 2.0]), InvalidProblem, "three or more"),
        (lambda: Transfer(factors=[2.0, 1.0, 0.5]), InvalidProblem, "increasing"),
        (lambda: Transfer(updates=True), InvalidProblem, "`updates`"),
        (lambda: Trap("quicksand"), InvalidProblem, "`trap`"),
        (lambda: grown(MLP.base("between"), "between", 2), InvalidProblem, "square"),
        (lambda: grown(MLP.base("II"), "II", 0), InvalidProblem, "at least 1"),
        (lambda: op.solve(Ladder(), save=op.SavePlan(steps=[99])), InvalidProblem, "99"),
    ],
)
def test_bad_input(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_counting_refuses_foreign_problems():
    data = op.data.gaussian(count=3, dimension=4)
    foreign = op.kernels.KernelEvolution(op.kernels.MLP(depth=1), data, steps=2)
    with pytest.raises(UnsupportedCombination, match="the problem to kernels"):
        op.solve(foreign, Counting())
    with pytest.raises(UnsupportedCombination, match="no rule for a"):
        Counting().solve(foreign, op.SavePlan(), 0, False)


def test_reference_models_have_the_roles_they_name():
    for name, reference in REFERENCES.items():
        known = {entry.role for entry in ladder_plan(name, "II", parameterization="mup").entries}
        assert set(reference.roles) <= known
        assert np.isfinite(list(initial_exponents(ladder_plan(name, "II")).values())).all()
