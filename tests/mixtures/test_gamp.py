"""Message passing on data ends at the minimiser, and its divergence is predicted."""

import jax.numpy as jnp
import numpy as np
import pytest

import orderparam as op
from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.mixtures import (
    CustomPenalty,
    MessagePassing,
    MixtureERM,
    StateEvolution,
    blocks,
    isotropic,
)
from orderparam.mixtures.experiment.fits import fit
from orderparam.mixtures.experiment.gamp import pass_messages, start_from
from orderparam.mixtures.experiment.simulate import task_of
from orderparam.mixtures.model.sampling import draw, instance
from orderparam.mixtures.theory.message_path import judged
from orderparam.results import Verdict

LOPSIDED = CustomPenalty(
    lambda w: jnp.maximum(w, 0) + 2 * jnp.maximum(-w, 0),
    lambda B, A, s: jnp.where(s < B, (B - s) / A, jnp.where(-2 * s > B, (B + 2 * s) / A, 0.0)),
    label="lopsided l1",
)


@pytest.mark.parametrize(
    ("problem", "dimension", "damping"),
    [
        (MixtureERM(blocks((0.9, 0.4), (0.5, 0.5), 0.7), "logistic", "l2", 0.2, 1.5), 150, 0.0),
        (MixtureERM(blocks((1.5, 0.9), (0.5, 0.5), 0.6), "squared", "l1", 0.3, 1.5), 150, 0.3),
        (MixtureERM(blocks((1.5, 0.9), (0.5, 0.5), 0.6), "squared", LOPSIDED, 0.3, 1.5), 150, 0.3),
        (MixtureERM(isotropic(3), "softmax", "l2", 0.3, 2.0), 60, 0.0),
    ],
)
def test_fixed_points_are_the_minimisers(problem, dimension, damping):
    rng = np.random.default_rng(4)
    at = instance(problem.mixture, dimension, rng)
    sample = draw(problem.mixture, at, round(float(problem.alpha) * dimension), rng)
    start = start_from(problem, len(sample.x), dimension)
    settings = {"steps": 300, "start": start, "damping": damping, "tolerance": 1e-11}
    done = pass_messages(problem, at, sample, **settings)
    label = problem.mixture.labels[sample.cluster]
    best = fit(task_of(problem, float(problem.strength)), sample.x, label)
    W = done.state.W if len(best.W) == 1 else problem.codes @ done.state.W
    assert np.linalg.norm(W - best.W) < 1e-5 * np.linalg.norm(best.W)


def test_divergence_is_predicted():
    """Opposite clusters of high signal-to-noise ratio: the first steps grow as the theory says."""
    problem = MessagePassing(blocks((0.1, 0.5), (0.5, 0.5)), "squared", "l2", 0.01, 1.5, 4)
    solved = op.solve(problem, StateEvolution(), progress=False, throw=False)
    assert solved.verdict is Verdict.DIVERGED  # exact, and yet no way to a minimiser
    assert "damping" in solved.message
    theory = solved["Q"].values[:, 0]
    data = op.simulate(problem, dimension=600, seeds=12, progress=False)["Q"].values[0, :, :, 0]
    assert theory[-1] > 1000 * theory[0]
    mean = data.mean(axis=0)
    error = data.std(axis=0, ddof=1) / np.sqrt(12) / mean
    assert np.all(np.abs(np.log(mean / theory)) < 4 * error)
    assert error.max() < 0.2


WILD = MessagePassing(blocks((0.1, 0.5), (0.5, 0.5)), "squared", "l2", 0.01, 1.5, 40)


def test_a_path_is_kept_up_to_its_overflow():
    runs = op.simulate(WILD, dimension=40, seeds=2, progress=False)
    assert runs.verdict is Verdict.DIVERGED
    assert "damping" in runs.message
    assert not runs["run_valid"].values.any()
    known = np.isfinite(runs["Q"].values[0, 0, :, 0])
    assert 4 < known.sum() < 40
    assert not known[np.argmin(known) :].any()


def test_damping_leads_to_the_minimiser_where_the_plain_iteration_explodes():
    problem = MessagePassing(
        WILD.mixture, "squared", "l2", 0.01, 1.5, 150, damping=0.6, start_norm=0.5,
        start_response=0.5,
    )  # fmt: skip
    runs = op.simulate(problem, dimension=200, seeds=6, progress=False)
    assert runs.verdict is Verdict.CONVERGED
    Q = runs["Q"].values[0, :, :, 0]
    assert np.abs(Q[:, 0] - 0.5 * 0.3).max() < 0.1  # the start has the norm that was asked for
    assert np.abs(Q[:, -1] / Q[:, -2] - 1).max() < 1e-3
    exact = float(op.solve(MixtureERM(WILD.mixture, "squared", "l2", 0.01, 1.5))["Q"][0])
    error = Q[:, -1].std(ddof=1) / np.sqrt(6)
    assert abs(Q[:, -1].mean() - exact) < 4 * error
    assert error < 0.1 * exact
    with pytest.raises(UnsupportedCombination, match="EngineEvolution"):
        op.solve(problem, StateEvolution(), progress=False)


@pytest.mark.validate
def test_the_engine_follows_damped_iterations():
    """Memory included, at every step; the undamped path fails the same test."""
    settings = (WILD.mixture, "squared", "l2", 0.01, 1.5, 12)
    problem = MessagePassing(*settings, damping=0.6)
    theory = op.solve(problem, progress=False)
    assert theory.method["name"] == "engine"
    runs = op.simulate(problem, dimension=2000, seeds=12, progress=False)["Q"].values[0, :, :, 0]
    other = op.simulate(
        MessagePassing(*settings, damping=0.5), dimension=2000, seeds=12, progress=False
    )["Q"].values[0, :, :, 0]
    for data, agrees in ((runs, True), (other, False)):
        error = np.hypot(data.std(axis=0, ddof=1) / np.sqrt(12), theory["Q_se"].values[:, 0])
        score = np.abs(data.mean(axis=0) - theory["Q"].values[:, 0])[1:] / error[1:]
        assert (score.max() < 5) == agrees


@pytest.mark.parametrize(
    ("Q", "verdict", "word"),
    [
        (0.5 + 0.3 * (-1.0) ** np.arange(12), Verdict.NOT_CONVERGED, "swings"),
        (0.5 + 0.3 * (-0.5) ** np.arange(12), Verdict.CONVERGED, "exact"),
        (0.5 * 10.0 ** np.arange(12), Verdict.DIVERGED, "explodes"),
        (np.where(np.arange(12) < 9, 0.5, np.inf), Verdict.DIVERGED, "9 of 12"),
    ],
)
def test_paths_are_judged_as_iterations(Q, verdict, word):
    found, message = judged({"Q": Q[:, None, None, None]})
    assert found is verdict
    assert word in message


def test_methods_say_what_they_follow():
    with pytest.raises(UnsupportedCombination, match="MessagePassing"):
        op.solve(MixtureERM(blocks((0.5,))), StateEvolution(), progress=False)
    with pytest.raises(InvalidProblem, match="one number each"):
        MessagePassing(blocks((0.5,)), alpha=[1.0, 2.0])
