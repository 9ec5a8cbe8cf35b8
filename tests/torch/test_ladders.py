"""Coordinate checks and learning-rate transfer of the reference models."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from orderparam.cli import app as cli
from orderparam.errors import InvalidProblem
from orderparam.experts.evidence.coordinate_check import coordinate_check
from orderparam.experts.experiment.observables import Recorder
from orderparam.experts.models.builders import mlp_mixture, transformer_mixture
from orderparam.experts.models.find import find_builder


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def checks():
    """MSSP and muP on a short ladder of regime II, where they differ most."""
    return {
        name: coordinate_check(
            mlp_mixture, sizes=(1, 2, 4), steps=(0, 1, 5), seeds=3, parameterization=name
        )
        for name in ("mup", "mssp")
    }


def slope(check, observable, step):
    return check.exponent(observable, step).slope


def test_mup_loses_what_mssp_keeps(checks):
    for observable in ("agg/base", "back/base"):
        assert slope(checks["mup"], observable, 1) == pytest.approx(-0.5, abs=0.1)
        assert slope(checks["mssp"], observable, 1) == pytest.approx(0.0, abs=0.1)
    assert slope(checks["mssp"], "act/o", 1) == pytest.approx(0.5, abs=0.1)
    assert not checks["mup"].passed
    failed = {line.observable for line in checks["mup"].failures}
    assert {"agg/base", "back/base"} <= failed
    assert slope(checks["mssp"], "act/output", 0) == pytest.approx(-0.5, abs=0.15)
    assert slope(checks["mup"], "act/output", 0) == pytest.approx(-1.0, abs=0.15)


def test_results_are_labelled_and_written(checks, tmp_path):
    check = checks["mssp"]
    value = check.solution["value"]
    assert value.dims == ("observable", "time", "size", "seed")
    assert str(value.sel(observable="act/u")["meaning"].values) == "preactivations of experts"
    folder = check.save(tmp_path / "check")
    written = {path.name for path in folder.iterdir()}
    assert {"coordcheck.nc", "exponents.csv", "exponents.json", "plan.json", "agg.png"} <= written
    document = json.loads((folder / "exponents.json").read_text())
    assert len(document["exponents"]) == len(check.exponents)
    with pytest.raises(InvalidProblem, match="no observable"):
        check.exponent("agg/bass", 1)


@pytest.mark.parametrize("builder", [mlp_mixture, transformer_mixture])
def test_terms_add_up_to_what_the_model_computes(builder):
    """Base, propagating, effective and cross terms are the aggregate, computed another way."""
    setup = builder(2, 0, "mup")
    recorder = Recorder(setup)
    recorder.measure()
    for step in range(3):
        inputs, labels = setup.batch(step)
        setup.optimizer.zero_grad()
        setup.loss(setup.model(inputs), labels).backward()
        setup.optimizer.step()
    first = recorder.first
    now = recorder._probe()
    for prefix in setup.experts:
        tap, start = now.taps[prefix], first.taps[prefix]
        weight, initial = (s.weights[f"{prefix}.expert_out"] for s in (now, first))
        total = torch.zeros_like(tap.aggregate)
        for w in (initial, weight - initial):
            for e in (start.activation, tap.activation - start.activation):
                total += torch.einsum("bm,mne,bme->bn", tap.gates, w, e) * tap.aggregation
        assert torch.allclose(total, tap.aggregate, atol=1e-5)
    # An update measured by the module is the difference of what it gives with both weights.
    measured = recorder.measure()
    x = now.inputs["head"]
    change = now.weights["head.weight"] - first.weights["head.weight"]
    expected = float((x @ change.T).double().square().mean().sqrt())
    assert measured["eff/head"] == pytest.approx(expected, rel=1e-5)
    epsilon = {r: g["eps"] for g in setup.optimizer.param_groups for r in [g["role"]] if "eps" in g}
    if epsilon:
        assert measured["faithful/head"] == pytest.approx(measured["grad/head"] / epsilon["head"])


def test_the_base_is_the_same_in_every_parameterization():
    models = [mlp_mixture(1, 0, name).model for name in ("mup", "mssp", "sp")]
    for model in models[1:]:
        for one, other in zip(model.parameters(), models[0].parameters(), strict=True):
            assert torch.equal(one, other)


def test_check_command(tmp_path, monkeypatch):
    builder = (
        "from orderparam.experts.models.builders import mlp_mixture\n"
        "def build(size, seed, parameterization, **settings):\n"
        "    return mlp_mixture(size, seed, parameterization, **settings)\n"
    )
    (tmp_path / "my_ladder.py").write_text(builder)
    monkeypatch.chdir(tmp_path)
    arguments = ["check", "my_ladder:build", "--sizes", "1,2,4", "--steps", "0,1", "--seeds", "2"]
    shown = CliRunner().invoke(cli.app, [*arguments, "--param", "mup", "--set", "regime=II"])
    assert shown.exit_code == 1
    assert "agg/base" in shown.stdout
    assert "mup, regime II: FAIL" in shown.stdout
    assert (tmp_path / "check" / "mup" / "exponents.png").exists()
    result = CliRunner().invoke(cli.app, [*arguments, "--json"])
    document = json.loads(result.stdout)
    assert result.exit_code == (0 if document["checks"]["mssp"]["passed"] else 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("check", "no_such_module:build"), "cannot be imported"),
        (("check", "something"), "neither mlp-mixture"),
        (("check", "mlp-mixture", "--sizes", "4,2"), "increasing"),
        (("check", "mlp-mixture", "--sizes", "a"), "numbers joined by commas"),
        (("check", "mlp-mixture", "--set", "regime=IV"), "must be one of"),
        (("transfer", "mlp-mixture", "--factors", "1,2"), "three or more"),
    ],
)
def test_commands_refuse(arguments, message):
    result = CliRunner().invoke(cli.app, list(arguments))
    assert result.exit_code == 2
    assert message in result.stderr


def test_transfer_command(tmp_path):
    arguments = [
        "transfer",
        "mlp-mixture",
        "--sizes",
        "1,2",
        "--factors",
        "0.5,1,2",
        "--steps",
        "3",
    ]
    result = CliRunner().invoke(
        cli.app, [*arguments, "--seeds", "1", "--out", str(tmp_path), "--json"]
    )
    document = json.loads(result.stdout)["sweeps"]["mssp"]
    assert result.exit_code == (0 if document["passed"] else 1)
    assert np.array(document["loss"]).shape == (2, 3, 1)
    assert (tmp_path / "mssp" / "transfer.png").exists()
    assert find_builder("transformer-mixture") is transformer_mixture
