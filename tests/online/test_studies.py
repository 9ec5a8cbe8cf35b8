"""The built-in studies are well formed, their figures draw, and claims fail on wrong results."""

import numpy as np
import pytest

import orderparam as op
from orderparam.online.analysis.selection import polar_factor
from orderparam.online.evidence.claims import CLAIMS, noisy_overlap
from orderparam.online.evidence.figures import FIGURES
from orderparam.online.evidence.measures import frame_overlap, rebuilt
from orderparam.results import Pair, Solution
from orderparam.studies import catalog, overrides
from orderparam.studies.building import builder
from orderparam.studies.cases import build_cases

STUDIES = ("overlaps", "escape", "selection", "selection-anisotropic", "tail", "hessian")


@pytest.mark.parametrize("name", [*STUDIES, "noise-floor"])
def test_studies_build(name):
    text, where = catalog.find(f"online-{name}")
    study, source = overrides.resolve(text, where, settings=[], quick=False)
    home = builder(study, source)
    home.check_names(study)
    assert build_cases(study, home)


@pytest.fixture(scope="module")
def pairs():
    """Two small cases with a floor, a start near the solution and runs of the chain."""
    found = []
    for rate in (0.1, 0.3):
        start = op.online.Overlaps(np.eye(2), 0.95 * np.eye(2))
        task = op.online.TeacherStudent(start, learning_rate=rate, duration=150.0, label_noise=0.1)
        save = op.SavePlan(steps=31)
        runs = op.simulate(task, dimension=100, seeds=3, simulator="chain", save=save)
        found.append(Pair(op.solve(task, save=save), runs, f"eta = {rate}"))
    return found


@pytest.mark.parametrize("name", ["loss", "overlaps", "tail", "hessian", "noise-floor"])
def test_figures_draw(name, pairs):
    kind = FIGURES[name]
    figure = kind.draw(pairs[:1] if kind.each_case else pairs)
    assert figure.axes
    assert all(panel.get_ylabel() or panel.get_xlabel() for panel in figure.axes)


def test_the_problem_is_read_back_from_results(pairs):
    task = rebuilt(pairs[0].theory)
    again = op.online.isotropic(task)
    assert again.noise_floor() == pytest.approx(0.1 * 0.1 * 0.25 * 2 / (1 - 0.2))


def test_the_claim_on_the_floor_sees_a_wrong_loss(pairs):
    theory = [Pair(pair.theory, None, pair.label) for pair in pairs]
    assert all(f.verdict == "pass" for f in CLAIMS["stationary-loss"](theory))
    wrong = [
        Pair(Solution(p.theory.dataset.assign(loss=p.theory["loss"] * 1.001)), None, p.label)
        for p in pairs
    ]
    wrong = [
        Pair(Solution(w.theory.dataset.assign_attrs(p.theory.dataset.attrs)), None, w.label)
        for w, p in zip(wrong, pairs, strict=True)
    ]
    assert all(f.verdict == "fail" for f in CLAIMS["stationary-loss"](wrong))


def test_a_single_run_decides_nothing(pairs):
    """It has no spread: no claim that needs one passes or fails, and no number is missing."""
    dataset = pairs[0].experiment.dataset.isel(seed=[0])
    single = Pair(pairs[0].theory, Solution(dataset), pairs[0].label)
    for name in ("stationary-loss", "polar-selected"):
        found = [
            f for f in CLAIMS[name]([single]) if "SGD" in f.statement or "noise" in f.statement
        ]
        assert found
        assert {f.verdict for f in found} == {"undecided"}
        assert all(np.isfinite(f.measured) and f.se is None and "one run" in f.note for f in found)


def test_noise_on_the_plateau_of_one_unit():
    """For p = p* = 1 the overlap is 1 - (2/pi) arctan sqrt(r) exactly."""
    for r in (0.1, 1.0):
        exact = 1 - 2 / np.pi * np.arctan(np.sqrt(r))
        assert noisy_overlap(1, 1, r) == pytest.approx(exact, abs=0.03)


def test_the_study_of_selection_has_enough_starts():
    """What plateau noise takes from the overlap is seen at 3.5 standard errors with 95 % power."""
    text, where = catalog.find("online-selection")
    study, source = overrides.resolve(text, where, settings=[], quick=False)
    for case in build_cases(study, builder(study, source)):
        problem = case.built.problem
        draws, noise = problem.start.draws, op.online.isotropic(problem).plateau_noise()
        first, second = np.random.default_rng(1).standard_normal((2, 1000, draws, 2, 2))
        frames = polar_factor(first), polar_factor(first + np.sqrt(noise) * second)
        taken = 1 - frame_overlap(*frames)
        error = taken.std(axis=1, ddof=1) / np.sqrt(draws)
        assert np.mean(taken.mean(axis=1) > 3.5 * error) > 0.95
