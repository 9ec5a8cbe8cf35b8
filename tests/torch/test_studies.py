"""Studies of scaling run on small models, and measure what counting predicts."""

import numpy as np
import pytest
import torch

import orderparam as op
from orderparam.errors import InvalidProblem
from orderparam.studies import catalog, overrides
from orderparam.studies.runner import run_study

TINY = {
    "exponents": ["experiment.size=[1, 2, 4]", "problem.regime='II'"],
    "sharing": ["problem.regime='between'"],
    "transfer": ["problem.updates=3", "experiment.size=[1, 2]"],
    "transfer-adam": ["problem.updates=3", "experiment.size=[1, 2]"],
    "traps": ["experiment.size=[1, 2]", "experiment.seeds=2"],
}


@pytest.mark.parametrize("name", list(TINY))
def test_quick_studies_run_with_figures_and_findings(name, tmp_path):
    text, where = catalog.find(f"experts-{name}")
    study, source = overrides.resolve(text, where, settings=TINY[name], quick=True)
    finished = run_study(study, source, store=tmp_path, progress=False)
    assert all(case["verdict"] != "error" for case in finished.summary["cases"])
    assert finished.summary["claims"]
    for finding in finished.summary["claims"]:
        assert np.isfinite(float(finding["measured"])), finding
    drawn = {path.stem for path in finished.folder.glob("*.png")}
    assert drawn == set(study.figures)


def test_initial_terms_of_trained_models_are_those_of_counting():
    problem = op.experts.Ladder(regime="between", sharing="full", steps=1)
    runs = op.simulate(problem, size=[1, 4], seeds=4, progress=False)
    theory = op.solve(problem)
    mean = runs["exponent"].sel(size=4).mean("seed")
    for name in ("agg/base", "back/signal", "back/base"):
        entry = f"{name} after 0"
        expected = float(theory["exponent"].sel(prediction=entry))
        assert float(mean.sel(prediction=entry)) == pytest.approx(expected, abs=0.15)


def test_a_seed_repeats_and_another_differs():
    problem = op.experts.Ladder(steps=1)

    def exponents(seed):
        return op.simulate(problem, size=[1, 2], seeds=2, seed=seed, progress=False)["exponent"]

    first = exponents(0).values
    assert np.array_equal(first, exponents(0).values)
    assert not np.isin(first, exponents(1).values).any()


def test_training_leaves_the_number_of_threads_alone():
    torch.set_num_threads(2)
    op.simulate(op.experts.Trap("schedule-floor"), size=[2], seeds=1, progress=False)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("problem", "options", "message"),
    [
        (op.experts.Ladder(), {"size": [2, 1]}, "increasing"),
        (op.experts.Ladder(), {"size": [2]}, "at least 2"),
        (op.experts.Ladder(), {"width": [1, 2]}, "whose size is `size`"),
        (op.experts.Ladder(), {"size": [1, 2], "precision": "float64"}, "float32"),
        (op.experts.Ladder(), {"size": [1, 2], "seeds": [1, 2]}, "the same number"),
        (op.experts.Transfer(), {"size": [1, 0]}, "at least 1"),
        (op.experts.Trap("balancing-loss"), {"size": [1]}, "at least 2"),
    ],
)
def test_bad_sizes(problem, options, message):
    with pytest.raises(InvalidProblem, match=message):
        op.simulate(problem, **{"seeds": 1, **options})


@pytest.mark.validate
@pytest.mark.parametrize(("parameterization", "base"), [("mup", -0.5), ("mssp", 0.0)])
def test_the_transformer_has_the_exponents_of_the_page(parameterization, base):
    """AdamW, regime II up to scale 8, after 10 updates: base term, and gradients once aligned."""
    problem = op.experts.Ladder(
        model="transformer-mixture", regime="II", parameterization=parameterization,
        optimizer="adamw", steps=11,
    )  # fmt: skip
    save = op.SavePlan(steps=[0, 10])
    runs = op.simulate(problem, size=[1, 2, 4, 8], seeds=3, save=save, progress=False)
    exponents = runs["exponent"].sel(size=8).mean("seed")
    assert float(exponents.sel(prediction="agg/base after 10")) == pytest.approx(base, abs=0.1)
    if parameterization == "mssp":
        for role, power in (("expert_in", -1.0), ("expert_out", -2.0)):
            found = float(exponents.sel(prediction=f"grad/{role} after 10"))
            assert found == pytest.approx(power, abs=0.15), role
