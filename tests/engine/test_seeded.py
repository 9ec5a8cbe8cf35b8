"""Seeded spaces have the law of actual networks, however small these are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from orderparam.engine import (
    CoefficientSpace,
    Layout,
    MatrixSpec,
    ParticleSpace,
    gram_schmidt,
    seeded_state,
)

NEURONS, NETWORKS, SEEDS = 4, 4_000, 3
LAYOUT = Layout(("row", "column"), {"w": MatrixSpec("row", "column")})


def seen(matrix, transposed, inner_row, inner_column, z, nonlinear):
    """Averages after a pass forward and one back."""
    function = jnp.tanh if nonlinear else lambda x: x
    first = matrix(z)
    back = transposed(function(first))
    found = [inner_row(first, first), inner_column(back, back), inner_column(z, back)]
    return jnp.stack(found).reshape(-1)


def of_state(state, nonlinear):
    """The same in a state, whose products teach it."""
    held = [state.normals("column", 1)]

    def product(verb):
        def apply(x):
            new, y = getattr(held[0][0], verb)("w", x)
            held[0] = (new, y)
            return y

        return apply

    inner = lambda space: lambda x, y: held[0][0].inner(space, x, y)  # noqa: E731
    z = held[0][1]
    return seen(product("mv"), product("rmv"), inner("row"), inner("column"), z, nonlinear)


def of_networks(nonlinear):
    """In networks of a few neurons, with actual matrices."""
    rng = np.random.default_rng(0)
    w = rng.standard_normal((NETWORKS, NEURONS, NEURONS)) / NEURONS**0.5
    z = rng.standard_normal((NETWORKS, 1, NEURONS))

    def one(w, z):
        mean = lambda x, y: x @ y.T / NEURONS  # noqa: E731
        return seen(lambda x: x @ w.T, lambda y: y @ w, mean, mean, z, nonlinear)

    return np.asarray(jax.jit(jax.vmap(one))(w, z))


def of_particles(nonlinear):
    def one(pools):
        spaces = dict(zip(LAYOUT.spaces, [ParticleSpace.of(p) for p in pools], strict=True))
        return of_state(seeded_state(LAYOUT, spaces, 2, 0.0), nonlinear)

    pools = np.random.default_rng(1).standard_normal((NETWORKS, 2, SEEDS, NEURONS))
    return np.asarray(jax.jit(jax.vmap(one))(pools))


def of_coefficients():
    def one(grams):
        spaces = dict(zip(LAYOUT.spaces, [CoefficientSpace.of(g) for g in grams], strict=True))
        return of_state(seeded_state(LAYOUT, spaces, 2, 0.0), False)

    z = np.random.default_rng(2).standard_normal((NETWORKS, 2, SEEDS, NEURONS))
    return np.asarray(jax.jit(jax.vmap(one))(z @ z.swapaxes(-1, -2) / NEURONS))


def distance(ours, networks):
    """Largest deviation of a mean or a variance, in standard errors."""

    def moments(sample):
        values = np.stack([sample, (sample - sample.mean(axis=0)) ** 2])
        return values.mean(axis=1), values.var(axis=1) / len(sample)

    (a, u), (b, v) = moments(ours), moments(networks)
    return np.max(np.abs(a - b) / np.sqrt(u + v))


def test_particles_are_networks_of_as_many_neurons(monkeypatch):
    networks = of_networks(True)
    assert distance(of_particles(True), networks) < 4.0  # of six numbers
    # Images without the projection on what is known, which only finite networks need.
    monkeypatch.setattr(gram_schmidt, "outside", lambda drawn, directions, space: drawn)
    assert distance(of_particles(True), networks) > 6.0


def test_seeds_of_a_linear_network_enter_by_their_gram_matrix():
    ours = of_coefficients()
    assert distance(ours, of_networks(False)) < 4.0
    square = ours[:, 1]  # (1/N) z^T (W^T W)^2 z
    error = square.std() / len(square) ** 0.5
    assert square.mean() == pytest.approx(2 + 1 / NEURONS, abs=4 * error)
