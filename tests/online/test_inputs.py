"""Inputs of a user's own: the set itself, and its Gaussian surrogate."""

import jax
import numpy as np

import orderparam as op
from orderparam.online.experiment.inputs import inputs_of, standardised

DIGITS = op.data.digits(classes=(3, 8), count=60)


def drawn(kind, count=20000):
    inputs = inputs_of(DIGITS, kind, 64, "float32")
    return np.asarray(inputs.draw(jax.random.key(0), count, 64, "float32"), float)


def test_the_surrogate_has_the_covariance_of_the_data():
    rows = standardised(DIGITS)
    assert abs(np.mean(rows**2) - 1) < 1e-12
    covariance = rows.T @ rows / len(rows)
    for kind in ("set", "covariance"):
        x = drawn(kind)
        found = x.T @ x / len(x)
        assert np.linalg.norm(found - covariance) < 0.06 * np.linalg.norm(covariance)
        assert np.abs(x.mean(0)).max() < 0.1
    # Samples of the set are its rows; those of the surrogate are not.
    nearest = [
        np.abs(drawn(kind, 5)[:, None] - rows).max(-1).min() for kind in ("set", "covariance")
    ]
    assert nearest[0] < 1e-5 < 0.1 < nearest[1]


def test_white_data_give_the_overlaps_of_gaussian_inputs():
    """A surrogate of white data is standard Gaussian, for which the equations hold."""
    white = np.concatenate([np.eye(60), -np.eye(60)])
    start = op.online.Overlaps(Q=[[1.0]], M=[[0.4]])
    task = op.online.TeacherStudent(start, learning_rate=0.05, duration=4.0)
    save = op.SavePlan(times=(0.0, 4.0))
    arguments = {"dimension": 60, "seeds": 200, "save": save}
    surrogate = op.simulate(task, inputs=white, inputs_as="covariance", **arguments)
    chain = op.simulate(task, simulator="chain", **arguments)
    a, b = (part["M"].values[0, :, 1, 0, 0] for part in (surrogate, chain))
    error = np.sqrt((np.nanvar(a) + np.nanvar(b)) / 200)
    assert abs(np.nanmean(a) - np.nanmean(b)) < 4 * error
    # Images have few strong directions, so learning on them differs.
    digits = op.simulate(task, inputs=DIGITS, **(arguments | {"dimension": 64}))
    assert abs(np.nanmean(digits["M"].values[0, :, 1]) - np.nanmean(b)) > 4 * error
