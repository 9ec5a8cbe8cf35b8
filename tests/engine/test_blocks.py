"""Matrices of several blocks that share one history, against real Gaussian matrices."""

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
    orthogonality_loss,
    ranks,
    run,
    sampled,
    sampled_state,
)
from orderparam.errors import InvalidProblem

ROUNDS, SIZE, POSITIONS = 4, 1500, 4
AROUND = ((3, 0, 1, 2), (0, 1, 2, 3), (1, 2, 3, 0))
EMPTY = ((-1, 0, 1, 2), (0, 1, 2, 3), (1, 2, 3, -1))


class Filters(Program):
    """A trained convolution over four positions, used in both directions."""

    count: int = eqx.field(static=True)
    nonlinear: bool = eqx.field(static=True)

    def start(self, state):
        state, x = state.normals("column", 3)
        mixing = np.random.default_rng(0).standard_normal((POSITIONS * self.count, 3))
        state, zero = state.normals("row", POSITIONS * self.count)
        return state.keep("x", "column", mixing @ x).keep("y", "row", 0.0 * zero)

    def function(self, x):
        return jnp.tanh(x) if self.nonlinear else 0.6 * x

    def step(self, state, t):
        x = state.vectors["x"]
        state, image = state.mv("w", x)
        y = self.function(image + 0.5 * state.vectors["y"])
        state, back = state.rmv("w", y)
        weights = jnp.cos(jnp.arange(len(x)))
        state = state.update("w", 0.3 * weights, step=0.8, decay=0.1, momentum=0.5)
        state = state.keep("x", "column", self.function(0.8 * back + 0.5 * x)).keep("y", "row", y)
        return state, {"gram": state.inner("column", x, x)}, {"x": x, "y": y}


def layout(taps, rho=1.0, response=True):
    spec = MatrixSpec("row", "column", 0.7, rho, response, taps, momentum=True)
    return Layout(("row", "column"), {"w": spec})


def grams(state, count=2, nonlinear=True, exact=False):
    result = run(Filters(count, nonlinear), state, np.arange(ROUNDS), fields_at=range(ROUNDS))
    rows = [np.concatenate([result.fields[t][n] for t in range(ROUNDS)]) for n in ("x", "y")]
    return [r @ r.T / (1 if exact else r.shape[1]) for r in rows], result.state


def simulated(taps, rho, nonlinear, runs=4):
    sizes = {"row": round(rho * SIZE), "column": SIZE}
    sides = [
        grams(finite_state(layout(taps, rho), sizes, jax.random.key(r)), nonlinear=nonlinear)[0]
        for r in range(runs)
    ]
    means = [np.mean(side, axis=0) for side in zip(*sides, strict=True)]
    errors = [np.std(side, axis=0, ddof=1) / runs**0.5 for side in zip(*sides, strict=True)]
    return means, errors


def deviation(theory, means, errors):
    """Root-mean-square deviation in units of the simulation's root-mean-square error."""
    return max(
        np.sqrt(np.mean((t - m) ** 2) / (np.mean(e**2) + SIZE**-2.0))
        for t, m, e in zip(theory, means, errors, strict=True)
    )


@pytest.mark.validate  # the convolutional networks of tests/agreement are the fast form
@pytest.mark.parametrize(("taps", "other", "rho"), [(EMPTY, AROUND, 1.5), (AROUND, EMPTY, 0.5)])
def test_inner_products_match_real_blocks(taps, other, rho):
    means, errors = simulated(taps, rho, nonlinear=True)
    theory, state = grams(sampled_state(layout(taps, rho), 4096, 64, 1e-8, (0,)))
    assert deviation(theory, means, errors) < 3
    assert orthogonality_loss(state) < 1e-10
    for wrong in (layout(taps, rho, response=False), layout(other, rho)):
        values, _ = grams(sampled_state(wrong, 4096, 64, 1e-8, (0,)))
        assert deviation(values, means, errors) > 6


@pytest.mark.validate
def test_exact_blocks():
    means, errors = simulated(AROUND, 1.0, nonlinear=False)
    exact, _ = grams(exact_state(layout(AROUND), 64, 1e-20), nonlinear=False, exact=True)
    assert deviation(exact, means, errors) < 3
    sampled, _ = grams(sampled_state(layout(AROUND), 2048, 64, 1e-12, (3,)), nonlinear=False)
    for a, b in zip(exact, sampled, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)


def test_rows_look_where_the_taps_say():
    state = finite_state(layout(EMPTY), {"row": 30, "column": 30}, jax.random.key(0))
    state, x = state.normals("column", 2 * POSITIONS)
    _, y = state.mv("w", x)
    blocks = np.asarray(state.matrices["w"].weight)
    for sample in range(2):
        for a in range(POSITIONS):
            seen = [(b, row[a]) for b, row in enumerate(EMPTY) if row[a] >= 0]
            expected = sum(blocks[b] @ x[sample * POSITIONS + p] for b, p in seen)
            np.testing.assert_allclose(y[sample * POSITIONS + a], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.validate
def test_transpose_is_the_adjoint():
    state = sampled_state(layout(EMPTY, 0.5), 1024, 64, 1e-10, (1,))
    state, x = state.normals("column", 2 * POSITIONS)
    state, y = state.normals("row", 2 * POSITIONS)
    for _ in range(2):
        state, image = state.mv("w", x)
        state, back = state.rmv("w", y)
        left = 0.5 * jnp.trace(state.inner("row", y, image))
        np.testing.assert_allclose(left, jnp.trace(state.inner("column", back, x)), atol=1e-11)
        state = state.update("w", 0.1 * jnp.arange(8.0), decay=0.2)
        x, y = jnp.tanh(x + back), jnp.tanh(y + image)


@pytest.mark.validate
def test_large_blocks_are_searched_a_few_directions_at_a_time(monkeypatch):
    count = 10  # 40 vectors with 120 images: searched at once, unless such blocks count as large

    def searched(seed):
        return grams(sampled_state(layout(AROUND), 2048, 64, 2e-3, (seed,)), count)

    whole, complete = searched(0)
    monkeypatch.setattr(sampled, "LARGE", 100)
    monkeypatch.setattr(sampled, "FEW", 5)
    jax.clear_caches()
    (few, found), (other, _) = searched(0), searched(1)
    assert min(ranks(found)["w"]) > 4 * sampled.FEW
    for a, b in zip(ranks(found)["w"], ranks(complete)["w"], strict=True):
        # Directions near the threshold depend on the draws.
        assert abs(a - b) <= 0.05 * b
    for a, b, c in zip(few, whole, other, strict=True):
        # Normals are paired with other directions, so both carry a sampling error of their own.
        assert np.mean((a - b) ** 2) < 2 * np.mean((a - c) ** 2)


def test_taps_that_are_no_wiring():
    for taps in ((), ((0, 0),), ((0, 2),), ((0, 1), (0,)), ((0, -2),)):
        with pytest.raises(InvalidProblem, match="taps"):
            layout(taps)
