"""Shares of decisions of several outputs, against the plain way to count them."""

import numpy as np

from orderparam.mixtures.model.losses import simplex
from orderparam.mixtures.theory.observables import gaussian_errors
from orderparam.numerics.gaussian import sobol_normals


def test_decisions_are_those_of_the_largest_logit():
    rng, codes = np.random.default_rng(0), simplex(3)
    mean, half = rng.standard_normal((3, 2)), rng.standard_normal((3, 2, 2))
    Q = half @ half.transpose(0, 2, 1)
    values, vectors = np.linalg.eigh(Q)
    root = (vectors * np.sqrt(values)[:, None]) @ vectors.transpose(0, 2, 1)
    found = gaussian_errors(mean, Q, codes)
    for scramble, xi in enumerate(sobol_normals(2, 13, 8)):
        for k in range(3):
            best = np.argmax((mean[k] + xi @ root[k]) @ codes.T, axis=1)
            np.testing.assert_allclose(
                found.scrambles[scramble, k], np.bincount(best, minlength=3) / len(best), atol=2e-4
            )
    np.testing.assert_allclose(found.confusion.sum(axis=1), 1.0)
