"""Histories at a coarse tolerance: what is not recorded is lost to second order only."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from orderparam.engine import (
    Layout,
    MatrixSpec,
    Program,
    exact_state,
    finite_state,
    missing,
    orthogonality_loss,
    ranks,
    run,
    sampled_state,
)

ROUNDS, SIZE, COARSE = 24, 2000, 3e-2


class Drifting(Program):
    """Vectors that turn slowly, seen through a matrix that is trained along them.

    With `truncated`, what is trained along residuals is thrown away.
    """

    nonlinear: bool = eqx.field(static=True)
    truncated: bool = eqx.field(static=True, default=False)

    def start(self, state):
        state, x = state.normals("column", 3)
        state, y = state.normals("row", 3)
        return state.keep("x", "column", x).keep("y", "row", y)

    def function(self, x):
        return jnp.tanh(x) if self.nonlinear else 0.6 * x

    def step(self, state, t):
        x, y = state.vectors["x"], state.vectors["y"]
        state, image = state.mv("w", self.function(x))
        state, back = state.rmv("w", self.function(y))
        weights = 0.1 * jnp.cos(jnp.arange(3))
        state = state.update("w", weights, step=0.7, decay=0.01, momentum=0.5, ridge=0.01)
        if self.truncated:
            state = without_residuals(state)
        state = state.keep("x", "column", 0.9 * x + 0.25 * back)
        state = state.keep("y", "row", 0.9 * y + 0.25 * jnp.roll(image, 1, axis=0))
        grams = {"x": state.inner("column", x, x), "y": state.inner("row", y, y)}
        return state, grams, {}


def without_residuals(state):
    """Moments inside the recorded directions alone, as if y x^T were kept for these only."""
    matrix = state.matrices["w"]

    def inside(moments, directions, space):
        return state.inner(space, moments, directions) @ directions

    column = inside(matrix.column.moments, matrix.column.direction, "column")
    row = inside(matrix.row.moments, matrix.row.direction, "row")
    where = lambda s: [s.matrices["w"].column.moments, s.matrices["w"].row.moments]  # noqa: E731
    return eqx.tree_at(where, state, [column, row])


def layout(rho=1.0, response=True, taps=((0,),)):
    spec = MatrixSpec("row", "column", 0.8, rho, response, taps, momentum=True)
    return Layout(("row", "column"), {"w": spec})


def grams(state, nonlinear=True, truncated=False):
    result = run(Drifting(nonlinear, truncated), state, np.arange(ROUNDS), block=ROUNDS)
    return np.stack([result.observed[name] for name in ("x", "y")]), result.state


def sampled(tolerance, seed=0, slots=3, **settings):
    return sampled_state(layout(**settings), 2048, 32, tolerance, (seed,), slots)


def distance(a, b):
    return np.sqrt(np.mean((a - b) ** 2) / np.mean(b**2))


@pytest.mark.parametrize("rho", [0.5, pytest.param(2.0, marks=pytest.mark.validate)])
def test_coarse_histories_match_real_matrices(rho):
    sizes = {"row": round(rho * SIZE), "column": SIZE}
    real = np.stack([
        grams(finite_state(layout(rho), sizes, jax.random.key(r)))[0] for r in range(6)
    ])  # fmt: skip
    mean, error = real.mean(axis=0), real.std(axis=0, ddof=1) / 6**0.5
    noise = np.sqrt(np.mean(error**2 + (mean / SIZE) ** 2))

    def deviation(state):
        return np.sqrt(np.mean((grams(state)[0] - mean) ** 2)) / noise

    theory, state = grams(sampled(COARSE, rho=rho))
    assert np.sqrt(np.mean((theory - mean) ** 2)) < 3 * noise
    assert max(ranks(state)["w"]) < 20
    assert orthogonality_loss(state) < 1e-10
    assert missing(state) < 0.2 * COARSE
    assert deviation(sampled(COARSE, rho=rho, response=False)) > 6


def test_an_error_of_second_order_is_left():
    """Against the exact space: a linear program has no sampling error on either side.

    Without slots the images of residuals are lost, without moments what is trained along them:
    errors of first order.
    """
    exact, state = grams(exact_state(layout(), 64, 1e-20), nonlinear=False)
    assert missing(state) < 1e-18
    errors = {}
    for tolerance in (1e-1, 1e-2, 1e-3):
        ways = {"both": {}, "moments": {"slots": 0}, "slots": {"truncated": True}}
        for name, way in ways.items():
            truncated = way.pop("truncated", False)
            found, _ = grams(sampled(tolerance, **way), nonlinear=False, truncated=truncated)
            errors[name, tolerance] = distance(found, exact)
        assert errors["both", tolerance] < 0.1 * errors["moments", tolerance]
        assert errors["both", tolerance] < 0.3 * errors["slots", tolerance]
    assert errors["both", 1e-1] < 0.03
    assert errors["both", 1e-3] < 0.05 * errors["both", 1e-1]
    finest, _ = grams(sampled(1e-13), nonlinear=False)
    np.testing.assert_allclose(finest, exact, atol=1e-9)
