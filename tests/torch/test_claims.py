"""The published exponents on digits, at the sizes and tolerances of the claims."""

import numpy as np
import pytest
import torch

from orderparam.experts.evidence.coordinate_check import coordinate_check
from orderparam.experts.evidence.transfer import learning_rate_transfer
from orderparam.experts.models.builders import mlp_mixture

pytestmark = pytest.mark.validate
SIZES = {"I": (1, 2, 4, 8), "II": (1, 2, 4, 8), "III": (1, 2, 4, 8)}


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def measured(regime, parameterization, optimizer="sgd"):
    return coordinate_check(
        mlp_mixture, sizes=SIZES[regime], steps=(0, 1, 20), seeds=3, regime=regime,
        parameterization=parameterization, optimizer=optimizer, progress=False,
    )  # fmt: skip


def near(check, observable, step, expected, tolerance):
    line = check.exponent(observable, step)
    allowed = max(tolerance, 3 * line.se)
    assert line.slope == pytest.approx(expected, abs=allowed), observable


@pytest.mark.parametrize("regime", ["II", "III"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_base_terms_fall_in_mup_and_stay_in_mssp(regime, optimizer):
    powers = {"II": (-1.0, -1.0, -1.0, -2.0), "III": (-1.0, -1.0, -2.0, -2.0)}[regime]
    for name, expected in (("mup", -0.5), ("mssp", 0.0)):
        check = measured(regime, name, optimizer)
        for observable in ("agg/base", "back/base"):
            near(check, observable, 1, expected, 0.1)
            near(check, observable, 20, expected, 0.1)
        near(check, "agg/eff", 1, 0.0, 0.15)
        assert not (name == "mup" and check.passed)
        if name == "mssp" and optimizer == "sgd":
            for role, power in zip(
                ("input", "router", "expert_in", "expert_out"), powers, strict=True
            ):
                near(check, f"grad/{role}", 20, power, 0.15)
        if regime == "II":
            grows = 0.5 if name == "mssp" else 0.0
            near(check, "act/o", 1, grows, 0.1)
            near(check, "act/output", 0, -0.5 if name == "mssp" else -1.0, 0.1)


def test_the_router_of_regime_one():
    mup, mssp = measured("I", "mup"), measured("I", "mssp")
    near(mup, "act/psi", 0, -0.5, 0.15)
    start = mssp.solution["value"].sel(observable="act/psi", time=0).values
    assert (start == 0.0).all()
    for check in (mup, mssp):
        near(check, "act/psi_spread", 20, -0.5, 0.15)


def test_the_standard_parameterization_explodes():
    check = measured("II", "sp", "adamw")
    for observable in ("eff/router", "eff/expert_in", "eff/head"):
        assert check.exponent(observable, 20).slope >= 0.8, observable
    assert check.exponent("act/output", 20).slope > 0.5


def test_learning_rates_transfer_with_mssp():
    """Regime II with a zero head, 60 steps of SGD: the grid is a factor of 1.4."""
    sweeps = {
        name: learning_rate_transfer(
            mlp_mixture, sizes=(1, 2, 4, 8), factors=(1.0, 1.4, 2.0, 2.8), steps=60, seeds=3,
            parameterization=name, regime="II", zero_head=True, progress=False,
        )
        for name in ("mssp", "mup")
    }  # fmt: skip
    best = {name: [o.loss for o in sweep.optima] for name, sweep in sweeps.items()}
    fixed = {name: sweep.loss.mean(axis=2)[:, 1] for name, sweep in sweeps.items()}
    assert sweeps["mssp"].stays
    assert best["mssp"][-1] < best["mssp"][0]
    assert fixed["mssp"][-1] < fixed["mssp"][0]
    assert (np.diff(fixed["mup"]) > 0).all()
    assert best["mup"][-1] > best["mup"][0]
    assert not sweeps["mup"].improves
