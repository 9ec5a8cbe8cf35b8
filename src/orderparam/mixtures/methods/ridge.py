"""Closed solution for the square loss with l2: nothing is iterated but the response."""

import time
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from orderparam.contract import Estimate, Method, SavePlan
from orderparam.errors import UnsupportedCombination
from orderparam.mixtures.model.losses import Squared
from orderparam.mixtures.model.penalties import L2
from orderparam.mixtures.model.spectrum import Diagonal, Full
from orderparam.mixtures.problem import MixtureERM
from orderparam.mixtures.theory.batches import finished, make_setup, residuals_all
from orderparam.mixtures.theory.equations import Overlaps, pack
from orderparam.mixtures.theory.existence import require_minimiser
from orderparam.mixtures.theory.pack import pack_theory
from orderparam.results import Solution
from orderparam.support.later import optimize

_TOLERANCE = 1e-8
_SWEEPS = 200

_COMPILATION = 4.0
"""Seconds that compiling takes on one core, as measured."""


class Resolvent(NamedTuple):
    """Traces with `R = (strength + sum_k D_k Sigma_k)^-1`, all that ridge regression needs.

    Attributes:
        first: `tr(Sigma_k R)/d`.
        second: `tr(Sigma_k R Sigma_l R)/d`.
        means: `mu_k R mu_l`.
        spread: `mu_l R Sigma_k R mu_n`.
    """

    first: Float[np.ndarray, " cluster"]
    second: Float[np.ndarray, "cluster cluster"]
    means: Float[np.ndarray, "cluster cluster"]
    spread: Float[np.ndarray, "cluster cluster cluster"]


class Ridge(Method):
    """Squared loss with l2 in closed form: K equations for the response, the rest is linear.

    With `V_k = v_k 1` the responses decouple: `v_k = tr(Sigma_k R)/d` with
    `D_k = alpha rho_k c_k/(1 + c_k v_k)`. Means and bias then solve a linear system, and the second
    moments another. It shares no step with `SaddlePoint`, whose equations judge the result.

    Cost: vector operations over atoms, or some ten factorisations for full covariances.

    Source: docs/theory/mixtures.md, Ridge regression.
    """

    family: ClassVar[str] = "mixtures"
    name: ClassVar[str] = "ridge"

    def config(self) -> Mapping[str, Any]:
        """No settings."""
        return {"name": self.name}

    def estimate(self, problem: MixtureERM, save: SavePlan) -> Estimate:
        """A few milliseconds a point; full covariances by their size."""
        del save
        spectrum, points = problem.mixture.spectrum, len(problem.points()[0])
        size = spectrum.dimension if isinstance(spectrum, Full) else 1
        seconds = points * (0.01 + 30 * size**3 / 1e10)
        return Estimate(2**20 + 40 * size**2, seconds, _COMPILATION)

    def solve(self, problem: MixtureERM, save: SavePlan, seed: int, progress: bool) -> Solution:
        """Solve every point, and judge it by the residual of the saddle-point equations."""
        del save, progress
        if not isinstance(problem.loss, Squared) or not isinstance(problem.penalty, L2):
            raise UnsupportedCombination(
                f"The method ridge solves the square loss with l2, but the problem has "
                f"{problem.loss.name!r} with {problem.penalty.name!r}; use SaddlePoint."
            )
        require_minimiser(problem)
        began = time.perf_counter()
        setup = make_setup(problem, 2)
        codes = problem.codes[problem.mixture.labels]
        alphas, strengths = problem.points()
        packed = np.stack(
            [
                np.asarray(pack(ridge_overlaps(problem, codes, float(a), float(s))))
                for a, s in zip(alphas, strengths, strict=True)
            ]
        )
        residual = np.asarray(residuals_all(setup, alphas, strengths, jnp.asarray(packed)))
        counts = np.zeros(len(alphas), dtype=int)
        solved = finished(problem, setup, 2, packed, residual, counts)
        return pack_theory(problem, solved, self.config(), seed, _TOLERANCE, 1.0, began)


def ridge_overlaps(
    problem: MixtureERM, codes: Float[np.ndarray, "cluster output"], alpha: float, strength: float
) -> Overlaps:
    """Order parameters of ridge regression at one point."""
    mixture = problem.mixture
    c = problem.class_weights[mixture.labels]
    share = alpha * mixture.weights * c
    v = _responses(mixture.spectrum, share, c, strength)
    D = share / (1 + c * v)
    traces = resolvent(mixture.spectrum, D, strength)
    K, L = codes.shape
    JD = traces.means * D
    if problem.fit_bias:
        system = np.block(
            [[np.eye(K) + JD, JD.sum(axis=1)[:, None]], [D[None], D.sum()[None, None]]]
        )
        solution = np.linalg.solve(system, np.concatenate([JD @ codes, (D @ codes)[None]]))
        m, b = solution[:K], solution[K]
    else:
        m, b = np.linalg.solve(np.eye(K) + JD, JD @ codes), np.zeros(L)
    gap = codes - m - b
    drift = D[:, None] * gap
    noise = share * c / (1 + c * v) ** 2
    outer = gap[:, :, None] * gap[:, None, :]
    known = np.einsum("kl,lij->kij", traces.second * noise, outer)
    known += np.einsum("kln,li,nj->kij", traces.spread, drift, drift)
    Q = np.linalg.solve(np.eye(K) - traces.second * noise, known.reshape(K, -1)).reshape(K, L, L)
    V = v[:, None, None] * np.eye(L)
    return jax.tree.map(jnp.asarray, Overlaps(V, Q, m, b))


def resolvent(
    spectrum: Diagonal | Full, D: Float[np.ndarray, " cluster"], strength: float
) -> Resolvent:
    """The traces for given curvatures of the clusters."""
    if isinstance(spectrum, Diagonal):
        p, sigma, gram = spectrum.shares, spectrum.variances, spectrum.gram()
        r = 1 / (strength + sigma @ D)
        return Resolvent(
            (p * r) @ sigma,
            np.einsum("a,ak,al->kl", p * r**2, sigma, sigma),
            np.einsum("a,akl->kl", p * r, gram),
            np.einsum("a,ak,aln->kln", p * r**2, sigma, gram),
        )
    d, mu, sigma = spectrum.dimension, spectrum.means, spectrum.covariances
    R = np.linalg.inv(strength * np.eye(d) + np.einsum("k,kij->ij", D, sigma))
    SR = sigma @ R
    pulled = mu @ R
    return Resolvent(
        np.einsum("kii->k", SR) / d,
        np.einsum("kij,lji->kl", SR, SR) / d,
        pulled @ mu.T,
        np.einsum("li,kij,nj->kln", pulled, sigma, pulled, optimize=True),
    )


def _responses(
    spectrum: Diagonal | Full, share: np.ndarray, c: np.ndarray, strength: float
) -> Float[np.ndarray, " cluster"]:
    """`v_k = tr(Sigma_k R(v))/d`: monotone, so iteration from above comes near the largest root."""

    def mapped(v: np.ndarray) -> np.ndarray:
        return resolvent(spectrum, share / (1 + c * v), strength).first

    def gap(log_v: np.ndarray) -> np.ndarray:
        v = np.exp(log_v)
        return mapped(v) / v - 1

    v = spectrum.traces() / max(strength, 1e-3)
    for _ in range(_SWEEPS if isinstance(spectrum, Diagonal) else 10):
        v = mapped(v)
    found = optimize.root(gap, np.log(v), tol=1e-14)
    return np.exp(found.x)
