"""Averages of activations at two Gaussians: closed forms, series and integrals agree."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from orderparam.numerics import activations
from orderparam.numerics.activations import Activation
from orderparam.numerics.pairs import active_share, pair_averages


def covariance(scale):
    """Four variables: usual, nearly equal, nearly opposite, zero."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 8))
    x[1] = x[0] + 0.01 * rng.normal(size=8)
    x[2] = -x[0] + 1e-4 * rng.normal(size=8)
    x[3] = 0
    return scale**2 * x @ x.T / 8


def averages(activation, K):
    with jax.enable_x64(True):
        return pair_averages(activation, K)


# Waves shorter than the nodes are apart have an error, which the next test looks at.
CLOSED = [(name, scale) for name in ("erf", "relu", "linear") for scale in (0.2, 1.0, 20.0)]


@pytest.mark.parametrize(("name", "scale"), [*CLOSED, ("sin", 0.2), ("sin", 1.0), ("cos", 1.0)])
def test_quadrature_finds_the_closed_forms(name, scale):
    known = activations.activation(name)
    # Another function object, of which no closed form is known.
    same = Activation("same", lambda h: 1.0 * known.function(h), smooth=known.smooth)
    K = covariance(scale)
    exact, found = averages(known, K), averages(same, K)
    assert exact.error == 0
    assert found.error < 1e-4
    for right, got in zip(exact[:2], found[:2], strict=True):
        size = np.sqrt(np.maximum(np.outer(np.diag(right), np.diag(right)), 1e-30))
        assert np.abs(got - right).max() <= 1e-7 * size.max()


def test_the_error_covers_kinks_away_from_zero_and_fast_waves():
    K = covariance(3.0)[:2, :2]
    for function in (lambda h: jnp.clip(h, -0.3, 0.3), lambda h: jnp.sin(30 * h)):
        found = averages(Activation("odd", function, smooth=False), K)
        # Ten million points of a fine midpoint rule in independent directions.
        grid = (np.arange(3200) + 0.5) / 200 - 8
        weight = np.exp(-(grid**2) / 2)
        weight /= weight.sum()
        factor = np.linalg.cholesky(K)
        with jax.enable_x64(True):
            u = np.asarray(function(factor[0, 0] * grid))
            v = np.asarray(function(factor[1, 0] * grid[:, None] + factor[1, 1] * grid))
        direct = np.einsum("a,a,ab,b->", weight, u, v, weight)
        size = np.sqrt(found.value[0, 0] * found.value[1, 1])
        assert abs(found.value[0, 1] - direct) < 2 * found.error * size + 1e-4 * size
        assert found.error > 1e-6


def test_points_with_a_slope_get_rare():
    erf = activations.activation("erf")
    with jax.enable_x64(True):
        shares = [active_share(erf, np.array([s**2])) for s in (1.0, 100.0, 200.0)]
        assert active_share(activations.activation("relu"), np.array([4.0])) == pytest.approx(0.5)
    assert 0.4 < shares[0] < 1
    assert shares[1] / shares[2] == pytest.approx(2, rel=1e-3)
