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
    theory = op.solve(problem, StateEvolution(), progress=False)["Q"].values[:, 0]
    data = op.simulate(problem, dimension=600, seeds=12, progress=False)["Q"].values[0, :, :, 0]
    assert theory[-1] > 1000 * theory[0]
    mean = data.mean(axis=0)
    error = data.std(axis=0, ddof=1) / np.sqrt(12) / mean
    assert np.all(np.abs(np.log(mean / theory)) < 4 * error)
    assert error.max() < 0.2


def test_methods_say_what_they_follow():
    with pytest.raises(UnsupportedCombination, match="MessagePassing"):
        op.solve(MixtureERM(blocks((0.5,))), StateEvolution(), progress=False)
    with pytest.raises(InvalidProblem, match="one number each"):
        MessagePassing(blocks((0.5,)), alpha=[1.0, 2.0])
