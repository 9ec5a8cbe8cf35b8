"""Proximal points far from anything that a solution visits."""

import jax.numpy as jnp
import numpy as np
import pytest

from orderparam.mixtures.model.losses import simplex
from orderparam.mixtures.model.proximal import logistic_prox, softmax_prox
from orderparam.support.settings import library_settings

RESPONSES = [0.0, 1e-12, 1e-3, 0.3, 3.0, 1e2, 1e4, 1e9]


@pytest.mark.parametrize("V", RESPONSES)
def test_logistic_points_are_exact_for_any_response(V):
    s = np.concatenate([np.linspace(-V - 50, 50, 2001), -V / 2 + np.linspace(-3, 3, 501)])
    with library_settings():
        u = np.asarray(logistic_prox(jnp.asarray(s), jnp.asarray(V)))
    below = 1 / (1 + np.exp(np.clip(u, -700, 700)))
    distance = np.abs(u - s - V * below) / (1 + V * below * (1 - below))
    rounding = 1e-15 * (np.abs(s) + V + 1) / (1 + V * below * (1 - below))
    assert np.all(distance <= 1e-13 * (1 + np.abs(u)) + rounding)


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("scale", [1e-2, 1.0, 1e3])
def test_softmax_points_solve_their_equation(classes, scale):
    generator = np.random.default_rng(classes)
    codes = simplex(classes)
    mixing = generator.normal(size=(classes - 1, classes - 1))
    V = scale * (mixing @ mixing.T + np.eye(classes - 1))
    omega = np.sqrt(scale) * generator.normal(size=(200, classes - 1)) * 3
    with library_settings():
        fields, code, response = (jnp.asarray(part) for part in (omega, codes[1], V))
        z, slope = (np.asarray(part) for part in softmax_prox(codes, code, fields, response))
    logits = z @ codes.T
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    assert z == pytest.approx(omega + (codes[1] - p @ codes) @ V, abs=1e-9 * (1 + scale))
    hessian = np.einsum("nc,ci,cj->nij", p, codes, codes)
    hessian -= np.einsum("nc,ci,nd,dj->nij", p, codes, p, codes)
    exact = hessian @ np.linalg.inv(np.eye(classes - 1) + V @ hessian)
    assert np.moveaxis(slope, -1, 0) == pytest.approx(exact, abs=1e-9)
