"""The engine against real Gaussian matrices that run the same program."""

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
    run,
    sampled_state,
)

ROUNDS = 4
SIZE = 2000


def validated(*values):
    """A further case of a claim, of which another case is always tested."""
    return pytest.param(*values, marks=pytest.mark.validate)


class Rounds(Program):
    """Products in both directions; with `rate` > 0 the matrix is trained, with decay too."""

    rate: jax.Array
    nonlinear: bool = eqx.field(static=True)

    def start(self, state):
        state, x = state.normals("column", 2)
        state, zero = state.normals("row", 2)
        return state.keep("x", "column", x).keep("y", "row", 0.0 * zero)

    def function(self, x):
        return jnp.tanh(x) if self.nonlinear else 0.6 * x

    def step(self, state, t):
        x = state.vectors["x"]
        state, image = state.mv("w", x)
        y = self.function(image + 0.5 * state.vectors["y"])
        state, back = state.rmv("w", y)
        # Trained along the vectors just used, with decoupled decay, momentum and ridge.
        step, on = jnp.asarray([0.6, -0.4]), self.rate
        state = state.update("w", on * step, step=0.8, decay=0.1 * on, momentum=0.5, ridge=0.1 * on)
        state = state.keep("x", "column", self.function(0.8 * back + 0.7 * x)).keep("y", "row", y)
        gram = state.inner("column", x, x)
        return state, {"gram": gram}, {"x": x, "y": y}


def grams(state, trained, nonlinear, exact=False):
    """All inner products of either side over the rounds."""
    program = Rounds(jnp.asarray(float(trained)), nonlinear)
    result = run(program, state, np.arange(ROUNDS), fields_at=range(ROUNDS), block=ROUNDS)
    sides = []
    for name in ("x", "y"):
        rows = np.concatenate([result.fields[t][name] for t in range(ROUNDS)])
        sides.append(rows @ rows.T / (1 if exact else rows.shape[1]))
    # Vectors are compared per coordinate of their own side.
    return sides


def layout(rho, sigma, response=True):
    return Layout(
        ("row", "column"),
        {"w": MatrixSpec("row", "column", sigma**2, rho, response, momentum=True)},
    )


def simulated(rho, sigma, trained, nonlinear, runs=4):
    sizes = {"row": round(rho * SIZE), "column": SIZE}
    sides = [
        grams(finite_state(layout(rho, sigma), sizes, jax.random.key(r)), trained, nonlinear)
        for r in range(runs)
    ]
    means, errors = [], []
    for side in zip(*sides, strict=True):
        stacked = np.stack([np.asarray(g) for g in side])
        means.append(stacked.mean(axis=0))
        errors.append(stacked.std(axis=0, ddof=1) / np.sqrt(runs))
    return means, errors


def deviation(theory, means, errors):
    """Root-mean-square deviation in units of the simulation's root-mean-square error."""
    gap = [np.asarray(t) - m for t, m in zip(theory, means, strict=True)]
    floor = 1.0 / SIZE  # corrections of relative order 1/m
    return [
        float(np.sqrt(np.mean(g**2) / (np.mean(e**2) + floor**2)))
        for g, e in zip(gap, errors, strict=True)
    ]


@pytest.mark.parametrize(("rho", "sigma"), [(0.5, 1.0), validated(1.0, 0.7), validated(2.0, 1.3)])
def test_inner_products_match_real_matrices(rho, sigma):
    for trained in (False, True):
        means, errors = simulated(rho, sigma, trained, nonlinear=True)
        theory = grams(sampled_state(layout(rho, sigma), 8192, 64, 1e-8, (0,)), trained, True)
        assert max(deviation(theory, means, errors)) < 3
        without = sampled_state(layout(rho, sigma, response=False), 8192, 64, 1e-8, (0,))
        wrong = grams(without, trained, True)
        assert max(deviation(wrong, means, errors)) > 6


@pytest.mark.parametrize(("rho", "sigma"), [(0.5, 1.0), validated(2.0, 0.9)])
def test_exact_space_matches_real_matrices_and_samples(rho, sigma):
    means, errors = simulated(rho, sigma, True, nonlinear=False)
    exact = grams(exact_state(layout(rho, sigma), 64, 1e-20), True, False, exact=True)
    assert max(deviation(exact, means, errors)) < 3
    sampled = grams(sampled_state(layout(rho, sigma), 2048, 64, 1e-12, (3,)), True, False)
    for a, b in zip(exact, sampled, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)


class Stream(Program):
    """A matrix from a space to itself, as in a residual network, used and trained both ways."""

    def start(self, state):
        state, x = state.normals("stream", 2)
        return state.keep("x", "stream", x)

    def step(self, state, t):
        x = state.vectors["x"]
        state, image = state.mv("w", jnp.tanh(x))
        y = jnp.tanh(image) + 0.5 * x
        state, back = state.rmv("w", y)
        mixing = jnp.asarray([[0.3, -0.2], [0.1, 0.4]])  # pairs every y with every x
        state = state.update("w", mixing, decay=0.1)
        state = state.keep("x", "stream", x + 0.6 * jnp.tanh(back) + 0.3 * image)
        return state, {"gram": state.inner("stream", x, x)}, {"x": x, "y": y}


def test_a_matrix_from_a_space_to_itself():
    def inner_products(state):
        result = run(Stream(), state, np.arange(ROUNDS), fields_at=range(ROUNDS), block=ROUNDS)
        rows = np.concatenate([result.fields[t][n] for t in range(ROUNDS) for n in ("x", "y")])
        return rows @ rows.T / rows.shape[1]

    def plan(response=True):
        return Layout(("stream",), {"w": MatrixSpec("stream", "stream", 1.2, 1.0, response)})

    runs = np.stack([
        inner_products(finite_state(plan(), {"stream": SIZE}, jax.random.key(r))) for r in range(6)
    ])  # fmt: skip
    mean, error = runs.mean(axis=0), runs.std(axis=0, ddof=1) / 6**0.5
    theory = inner_products(sampled_state(plan(), 8192, 64, 1e-8, (0,)))
    assert max(deviation([theory], [mean], [error])) < 3
    wrong = inner_products(sampled_state(plan(response=False), 8192, 64, 1e-8, (0,)))
    assert max(deviation([wrong], [mean], [error])) > 6
    for seed in (1, 2):  # replicates agree to their own sampling error
        other = inner_products(sampled_state(plan(), 8192, 64, 1e-8, (seed,)))
        assert np.abs(other - theory).max() < 0.05


@pytest.mark.parametrize("rho", [0.5, validated(1.0), validated(2.0)])
def test_transpose_is_the_adjoint(rho):
    state = sampled_state(layout(rho, 1.2), 1024, 64, 1e-10, (1,))
    state, x = state.normals("column", 2)
    state, y = state.normals("row", 2)

    @eqx.filter_jit
    def products(state, x, y):
        state, image = state.mv("w", x)
        state, back = state.rmv("w", y)
        return state.update("w", jnp.asarray([0.4, 0.1]), decay=0.2), image, back

    for _ in range(3):
        state, image, back = products(state, x, y)
        left = rho * state.inner("row", y, image)
        np.testing.assert_allclose(left, state.inner("column", back, x), atol=1e-12)
        x, y = jnp.tanh(x + back), jnp.tanh(y + image)


def test_amp_state_evolution_with_a_known_closed_form():
    """Linear AMP x <- W^T y - rho-term: without correction norms follow free-probability moments.

    For y = W x and x' = W^T y the limit of <x', x'> is the fourth moment of the Marchenko-Pastur
    law, rho (1 + rho) sigma^4, and <x', x> its second moment, rho sigma^2.
    """
    rho, sigma = 0.7, 1.1

    @eqx.filter_jit
    def linear(state):
        state, x = state.normals("column", 1)
        state, y = state.mv("w", x)
        state, back = state.rmv("w", y)
        return state.inner("column", jnp.concatenate([x, back]), back)

    gram = np.asarray(linear(sampled_state(layout(rho, sigma), 2048, 64, 1e-12, (5,))))
    np.testing.assert_allclose(gram[0, 0], rho * sigma**2, rtol=1e-9)
    np.testing.assert_allclose(gram[1, 0], rho * (1 + rho) * sigma**4, rtol=1e-9)
    # The Onsager-corrected field is Gaussian: its law is the state-evolution recursion
    # tau_{t+1} = rho sigma^2 E[f(sigma sqrt(tau_t) Z)^2]; f = tanh is checked by quadrature.
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()
    expected = rho * sigma**2 * np.sum(weights * np.tanh(sigma * nodes) ** 2)

    @eqx.filter_jit
    def corrected_and_raw(state):
        state, x = state.normals("column", 1)
        state, field = state.mv("w", x)
        y = jnp.tanh(field)
        state, back = state.rmv("w", y)
        corrected = back - rho * sigma**2 * jnp.mean(1 - y**2) * x
        return [state.inner("column", v, v)[0, 0] for v in (corrected, back)]

    state = sampled_state(layout(rho, sigma), 8192, 64, 1e-12, (6,))
    tau, raw = (float(value) for value in corrected_and_raw(state))
    np.testing.assert_allclose(tau, expected, rtol=3e-3)
    assert abs(raw - expected) > 0.1 * expected
