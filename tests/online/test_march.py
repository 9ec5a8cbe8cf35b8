"""Trajectories side by side: each with its own steps, times and end."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from orderparam.online.theory.march import Course, march
from orderparam.online.theory.runge_kutta import Explicit, Implicit
from orderparam.support.settings import library_settings

RATES = np.array([0.01, 0.3, 1.0, 5.0, -2.0])
TIMES = np.linspace(0.0, 20.0, 600)
LARGEST = 1e4


def turning(t, row, rate):
    """A damped rotation, whose solution is known."""
    del t
    return jnp.stack([-rate * row[0] + row[1], -rate * row[1] - row[0]])


@pytest.fixture(params=[Explicit(), Implicit(1e-9, 1e-11)], ids=["explicit", "implicit"])
def marched(request):
    """March with some rates, at all times."""
    size = lambda row: jnp.abs(row).sum()  # noqa: E731
    controller = diffrax.PIDController(rtol=1e-8, atol=1e-10)

    @jax.jit
    def run(rates):
        lanes, ones = len(rates), jnp.ones(len(rates))
        course = Course(turning, size, None, request.param, controller, jnp.asarray(20.0), 4096)
        start, times = jnp.tile(jnp.array([1.0, 0.0]), (lanes, 1)), jnp.tile(TIMES, (lanes, 1))
        known = jnp.full((lanes, 4), jnp.nan)
        return march(course, 0 * ones, start, rates, ones > 0, LARGEST * ones, times, known)

    def call(rates):
        with library_settings():
            lanes, rows, _ = run(np.asarray(rates))
            return jax.tree.map(np.asarray, lanes), np.asarray(rows)

    return call


def test_each_goes_its_own_way_and_ends_where_it_must(marched):
    lanes, rows = marched(RATES)
    decay = np.exp(-RATES[:4, None] * TIMES)
    exact = np.stack([decay * np.cos(TIMES), -decay * np.sin(TIMES)], axis=-1)
    np.testing.assert_allclose(rows[:4], exact, atol=3e-6)
    assert lanes.blown_up.tolist() == [False] * 4 + [True]
    assert (lanes.at[:4] == 20.0).all()
    assert lanes.at[4] < np.log(LARGEST)
    known = lanes.at[4] >= TIMES
    assert np.isfinite(rows[4, known]).all()
    assert np.isinf(rows[4, ~known]).all()
    assert len(set(lanes.steps.tolist())) == len(RATES)


def test_together_is_as_alone(marched):
    """To ten times the tolerance: the error of a short step is rounding, which sizes the next."""
    lanes, rows = marched(RATES)
    for index in (0, 3, 4):
        own, alone = marched(RATES[index, None])
        known = (own.at[0] >= TIMES) & (lanes.at[index] >= TIMES)
        np.testing.assert_allclose(rows[index, known], alone[0, known], rtol=1e-7, atol=1e-7)
