"""The Gaussian averages against direct Monte-Carlo averages of the SGD increments."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import erf

from orderparam.online.theory.flow import moments
from orderparam.online.theory.moments import Fixed, State

SAMPLES = 400_000
LAYERS = {
    "quadratic": (np.square, lambda u: 2 * u),
    "erf_scaled": (
        lambda u: erf(u / np.sqrt(2)),
        lambda u: np.sqrt(2 / np.pi) * np.exp(-(u**2) / 2),
    ),
    "relu": (lambda u: np.maximum(u, 0), lambda u: (u > 0).astype(float)),
}


def gaussian_averages(activation, C, A, B, offset, noise, students):
    """Mean and standard error of every increment, from samples."""
    rng = np.random.default_rng(1)
    u = rng.standard_normal((SAMPLES, len(C))) @ np.linalg.cholesky(C).T
    layer, slope = LAYERS[activation]
    e = layer(u[:, :students]) @ A - layer(u[:, students:]) @ B - offset
    s = slope(u[:, :students])
    pull = e[:, None, None] * s[:, :, None] * u[:, None, :]
    samples = {
        "loss": e**2 / 2,
        "student": pull[:, :, :students],
        "teacher": pull[:, :, students:],
        "square": (e**2 + noise)[:, None, None] * s[:, :, None] * s[:, None, :],
        "readout": e[:, None] * layer(u[:, :students]),
    }
    return {k: (v.mean(0), v.std(0) / np.sqrt(SAMPLES)) for k, v in samples.items()}


@pytest.mark.parametrize("activation", list(LAYERS))
def test_moments_are_averages_of_increments(activation):
    rng = np.random.default_rng(0)
    p, q = 3, 2
    roots = rng.standard_normal((p + q, 7))
    C = roots @ roots.T / 7
    A, B = rng.standard_normal(p), rng.standard_normal(q)
    offset, noise = (0.2 if activation == "quadratic" else 0.0), 0.3
    with jax.enable_x64(True):
        state = State(jnp.asarray(C[:p, :p]), jnp.asarray(C[:p, p:]), jnp.asarray(A))
        numbers = (jnp.asarray(v) for v in (noise, offset, 0.0))
        fixed = Fixed(jnp.asarray(C[p:, p:]), jnp.asarray(B), *numbers, population=False)
        exact = jax.jit(moments, static_argnums=2)(state, fixed, activation)
    found = gaussian_averages(activation, C, A, B, offset, noise, p)
    for name, (mean, error) in found.items():
        score = np.abs((np.asarray(getattr(exact, name)) - mean) / error)
        assert score.max() < 5, name
        # The test sees an error of half a per cent of the largest entry in the loss.
    assert found["loss"][1] < 0.005 * found["loss"][0]


def test_centred_activation_changes_only_the_mean():
    """lambda^2 - 1 on both sides is the offset sum A - sum B, and moves the readout by -m."""
    Q, M, T = np.eye(2), np.full((2, 1), 0.2), np.eye(1)
    A, B = np.array([0.5, 0.2]), np.array([1.0])
    with jax.enable_x64(True):
        state = State(jnp.asarray(Q), jnp.asarray(M), jnp.asarray(A))

        def at(offset, shift):
            numbers = (jnp.asarray(v) for v in (0.1, offset, shift))
            fixed = Fixed(jnp.asarray(T), jnp.asarray(B), *numbers, population=False)
            return jax.tree.map(np.asarray, moments(state, fixed, "quadratic"))

        centred, moved = at(0.0, 1.0), at(A.sum() - B.sum(), 0.0)
        mean = A @ np.diag(Q) - B @ np.diag(T) - (A.sum() - B.sum())
    np.testing.assert_allclose(centred.square, moved.square, atol=1e-14)
    np.testing.assert_allclose(centred.readout, moved.readout - mean, atol=1e-14)
