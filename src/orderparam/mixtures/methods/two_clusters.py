"""Two opposite clusters of one covariance: the equations for four numbers, by another route."""

import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from orderparam.contract import Estimate, Method, SavePlan
from orderparam.errors import UnsupportedCombination
from orderparam.mixtures.model.losses import Hinge, Squared
from orderparam.mixtures.model.penalties import L2
from orderparam.mixtures.model.smooth import Logistic
from orderparam.mixtures.model.spectrum import Diagonal
from orderparam.mixtures.problem import MixtureERM
from orderparam.mixtures.theory.batches import finished, make_setup, residuals_all
from orderparam.mixtures.theory.equations import Overlaps, pack
from orderparam.mixtures.theory.existence import require_minimiser
from orderparam.mixtures.theory.pack import pack_theory
from orderparam.mixtures.theory.separability import bracketed_root
from orderparam.numerics.gaussian import normal_density
from orderparam.results import Solution
from orderparam.support.later import integrate, optimize

_TOLERANCE = 1e-7
_NODES = 401

_COMPILATION = 6.0
"""Seconds that compiling takes on one core, as measured."""


class TwoClusters(Method):
    """Scalars V, Q, m, b for clusters at +mu and -mu with one diagonal covariance and l2.

    Averages over the channel are adaptive integrals, the response follows from Stein's identity
    instead of a derivative, and the four equations are solved by MINPACK: no step is shared with
    `SaddlePoint`, whose equations judge the result. A few seconds a point; a reference.

    Source: docs/theory/mixtures.md, Two opposite clusters.
    """

    family: ClassVar[str] = "mixtures"
    name: ClassVar[str] = "two-clusters"

    def config(self) -> Mapping[str, Any]:
        """No settings."""
        return {"name": self.name}

    def estimate(self, problem: MixtureERM, save: SavePlan) -> Estimate:
        """Some seconds a point."""
        del save
        return Estimate(2**20, 3.0 * len(problem.points()[0]), _COMPILATION)

    def solve(self, problem: MixtureERM, save: SavePlan, seed: int, progress: bool) -> Solution:
        """Solve every point, and judge it by the residual of the saddle-point equations."""
        del save, progress
        _require_two(problem)
        require_minimiser(problem)
        began = time.perf_counter()
        setup = make_setup(problem, _NODES)
        alphas, strengths = problem.points()
        packed = np.stack(
            [_solved(problem, float(a), float(s)) for a, s in zip(alphas, strengths, strict=True)]
        )
        residual = np.asarray(residuals_all(setup, alphas, strengths, jnp.asarray(packed)))
        counts = np.zeros(len(alphas), dtype=int)
        solved = finished(problem, setup, _NODES, packed, residual, counts)
        return pack_theory(problem, solved, self.config(), seed, _TOLERANCE, 1.0, began)


def _solved(problem: MixtureERM, alpha: float, strength: float) -> np.ndarray:
    """Packed overlaps of one point."""
    spectrum, weights = problem.mixture.spectrum, problem.mixture.weights
    assert isinstance(spectrum, Diagonal)
    p, delta = spectrum.shares, spectrum.variances[:, 0]
    square = spectrum.gram()[:, 1, 1]  # second moment of the mean entries
    force = _force(problem)

    def channel(V: float, Q: float, m: float, b: float) -> tuple[float, float, float, float]:
        """Sums over the clusters: drift, noise, curvature, and the force on the bias."""
        totals = np.zeros(4)
        for y, rho in zip((-1.0, 1.0), weights, strict=True):
            kinks = [(t - (y * m + b)) / np.sqrt(Q) for t in (y, y * (1 - V))]
            f, ff, stein = (
                _average(
                    lambda xi, g=g, y=y: g(force(y, y * m + b + np.sqrt(Q) * xi, V), xi), kinks
                )
                for g in (lambda f, xi: f, lambda f, xi: f * f, lambda f, xi: f * xi)
            )
            totals += alpha * rho * np.array([y * f, ff, -stein / np.sqrt(Q), f])
        return float(totals[0]), float(totals[1]), float(totals[2]), float(totals[3])

    def gap(u: np.ndarray) -> np.ndarray:
        V, Q = np.exp(u[:2])
        m, b = u[2], u[3] if problem.fit_bias else 0.0
        drift, noise, curvature, pull = channel(V, Q, m, b)
        r = 1 / (strength + curvature * delta)
        new_Q = p @ (delta * r**2 * (noise * delta + drift**2 * square))
        return np.array(
            [
                np.log(p @ (delta * r) / V),
                np.log(new_Q / Q),
                drift * (p @ (square * r)) - m,
                pull / alpha if problem.fit_bias else u[3],
            ]
        )

    best = min(
        (optimize.root(gap, start, tol=1e-12) for start in _starts(strength, float(p @ delta))),
        key=lambda found: float(np.abs(found.fun).max()),
    )
    V, Q = np.exp(best.x[:2])
    two = np.ones((2, 1, 1))
    m = best.x[2] * np.array([[-1.0], [1.0]])
    x = Overlaps(*(jnp.asarray(part) for part in (V * two, Q * two, m, best.x[3:])))
    return np.asarray(pack(x))


def _starts(strength: float, delta: float) -> list[np.ndarray]:
    V = min(delta / strength, 5.0) if strength else 5.0
    small = min(V, 1.0)
    return [np.array([np.log(V), np.log(q * small**2), 0.5 * small, 0.0]) for q in (0.3, 3.0)]


def _average(function: Callable[[float], float], kinks: list[float]) -> float:
    """Standard normal average, with the kinks of the hinge given to the integrator."""
    points = sorted(float(np.clip(k, -8.5, 8.5)) for k in kinks)
    value = integrate.quad(
        lambda xi: function(xi) * normal_density(xi), -9, 9, points=points, epsabs=1e-12,
        epsrel=1e-11, limit=200,
    )[0]  # fmt: skip
    return float(value)


def _force(problem: MixtureERM) -> Callable[[float, float, float], float]:
    """`f = (prox(omega) - omega)/V` in plain numbers."""

    def logistic(y: float, omega: float, V: float) -> float:
        z = y * omega
        h = bracketed_root(lambda u: u - z - V / (1 + np.exp(u)), z - 1e-9, z + V + 1e-9, 1e-14)
        return y / (1 + np.exp(h))

    def hinge(y: float, omega: float, V: float) -> float:
        return y * float(np.clip((1 - y * omega) / V, 0.0, 1.0))

    if isinstance(problem.loss, Squared):
        return lambda y, omega, V: (y - omega) / (1 + V)
    return hinge if isinstance(problem.loss, Hinge) else logistic


def _require_two(problem: MixtureERM) -> None:
    spectrum = problem.mixture.spectrum
    fits = (
        isinstance(spectrum, Diagonal)
        and problem.mixture.clusters == 2
        and isinstance(problem.penalty, L2)
        and isinstance(problem.loss, Squared | Hinge | Logistic)
        and np.array_equal(spectrum.variances[:, 0], spectrum.variances[:, 1])
        and np.allclose(spectrum.gram().sum(axis=2), 0, atol=1e-12)
        and np.all(problem.class_weights == 1)
    )
    if not fits:
        raise UnsupportedCombination(
            "The method two-clusters takes two opposite clusters of one diagonal covariance with "
            "squared, logistic or hinge loss, l2 and no class weights; use SaddlePoint."
        )
