"""The studies of fluctuations are well formed and run."""

import numpy as np
import pytest

from orderparam.errors import InvalidProblem
from orderparam.studies import catalog, overrides
from orderparam.studies.building import builder
from orderparam.studies.cases import build_cases
from orderparam.studies.runner import run_study

STUDIES = ("rich", "shift", "depth", "catapult", "eigenvalues")
NAMES = (*(f"fluctuations-{name}" for name in STUDIES), "digits-finite-width")
TINY = {
    "fluctuations-rich": ("experiment.width=[16, 32]", "experiment.seeds=20", "theory.samples=128",
        "theory.replicates=2", "problem.evolution.gamma0=[0.1, 1.0]",
    ),
    "fluctuations-shift": (
        "experiment.width=[8, 16]", "experiment.seeds=20", "theory.samples=128",
        "theory.replicates=2", "problem.evolution.gamma0=[0.5, 1.0]",
    ),
    "fluctuations-depth": (
        "experiment.width=[8]", "experiment.seeds=20", "problem.evolution.network.depth=[1, 2]",
        "problem.evolution.steps=11", "save.steps=6",
    ),
    "fluctuations-catapult": (
        "experiment.width=[16]", "experiment.seeds=20", "problem.evolution.steps=6",
        "save.steps=6", "problem.evolution.learning_rate=[0.2]",
        "problem.evolution.centered=[false]",
    ),
    "fluctuations-eigenvalues": (
        "experiment.width=[16, 32]", "experiment.seeds=20", "theory.samples=128",
        "theory.replicates=2", "theory.accuracy=1.0",
    ),
    "digits-finite-width": (
        "experiment.width=[16, 32]", "experiment.seeds=20", "theory.samples=256",
        "theory.replicates=2", "problem.evolution.steps=4", "save.steps=4",
        "problem.evolution.data.count=1",
    ),
}  # fmt: skip


def resolved(name, *settings):
    text, where = catalog.find(name)
    return overrides.resolve(text, where, settings=settings)


def test_studies_save_the_steps_they_ask_for():
    study, source = resolved("fluctuations-depth")
    for case in build_cases(study, builder(study, source)):
        posed = case.built.problem
        assert posed.steps == posed.evolution.steps == 61
        assert len(case.built.save.grid(posed.steps)) == study.save.steps == 31


def test_saved_steps_of_a_problem_without_time_are_refused():
    text, where = catalog.find("mixture-learning-curves")
    study, source = overrides.resolve(f"{text}\n[save]\nsteps = 3\n", where)
    with pytest.raises(InvalidProblem, match="has none; leave it out"):
        build_cases(study, builder(study, source))


def test_parts_of_problems_are_those_of_kernels():
    for old, new in (("KernelEvolution", "KernelEvolutoin"), ("MLP", "MLO")):
        text, where = catalog.find("fluctuations-rich")
        study, source = overrides.resolve(text.replace(f'"{old}"', f'"{new}"'), where)
        with pytest.raises(InvalidProblem, match=f"did you mean `{old}`"):
            build_cases(study, builder(study, source))
    study, source = resolved("fluctuations-rich", 'problem.kind="KernelEvolution"')
    with pytest.raises(InvalidProblem, match=r"`problem.kind`.*FiniteWidth"):
        build_cases(study, builder(study, source))


QUICK = "fluctuations-catapult"


@pytest.mark.parametrize(
    "name", [n if n == QUICK else pytest.param(n, marks=pytest.mark.validate) for n in NAMES]
)
def test_studies_run_with_figures_and_findings(name, tmp_path):
    study, source = resolved(name, *TINY[name])
    finished = run_study(study, source, store=tmp_path, progress=False)
    assert not any(case["error"] for case in finished.summary["cases"])
    found = finished.summary["claims"]
    assert found
    assert all(np.isfinite(one["measured"]) or one["verdict"] == "undecided" for one in found)
    drawn = {path.stem for path in finished.folder.glob("*.png")}
    assert drawn == set(study.figures)


@pytest.mark.validate
@pytest.mark.parametrize("name", NAMES)
def test_claims_hold_at_full_size(name, tmp_path):
    study, source = resolved(name)
    finished = run_study(study, source, store=tmp_path, progress=False)
    assert {one["verdict"] for one in finished.summary["claims"]} == {"pass"}
