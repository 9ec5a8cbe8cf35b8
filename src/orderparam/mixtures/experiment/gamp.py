"""Generalised approximate message passing on data: the fit by an iteration with Onsager terms.

    omega_nu = W x_nu / sqrt(d) - V f_nu,    sum_nu f(omega_nu + b) = 0,    f_nu = f(omega_nu + b)
    B = f^T X / sqrt(d) + Vhat W Sigma,      W = G(B; Vhat),      V = tr(Sigma dG/dB)/d

with one V and Vhat for each cluster. Its fixed points are the minimisers, whatever V is.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from orderparam.mixtures.experiment.forces import balanced
from orderparam.mixtures.model.penalties import CustomPenalty, ElasticNet
from orderparam.mixtures.model.sampling import Instance, Sample
from orderparam.mixtures.problem import MixtureERM
from orderparam.support.settings import library_settings

_HUGE = 1e12


class Message(NamedTuple):
    """State of the iteration; `b` belongs to the fields of the step that made `f`."""

    W: Float[np.ndarray, "output dimension"]
    f: Float[np.ndarray, "sample output"]
    V: Float[np.ndarray, "cluster output output"]
    b: Float[np.ndarray, " output"]


class Passed(NamedTuple):
    """Where message passing ended, and what it was at every step.

    Attributes:
        state: The last state.
        Q: `W Sigma_k W^T / d` before each step.
        m: `W mu_k / sqrt(d)` before each step.
        V: Responses before each step.
        b: Bias of each step.
        change: Relative change of W by each step.
        diverged: Whether the weights overflowed in the last step.
    """

    state: Message
    Q: Float[np.ndarray, "time cluster output output"]
    m: Float[np.ndarray, "time cluster output"]
    V: Float[np.ndarray, "time cluster output output"]
    b: Float[np.ndarray, "time output"]
    change: Float[np.ndarray, " time"]
    diverged: bool


def pass_messages(
    problem: MixtureERM,
    at: Instance,
    sample: Sample,
    *,
    steps: int,
    start: Message,
    damping: float = 0.0,
    onsager: bool = True,
    tolerance: float = 0.0,
) -> Passed:
    """Iterate on one data set at the problem's (single) alpha and strength.

    Args:
        problem: Loss, penalty and strength.
        at: Covariances of the coordinates; means enter the record only.
        sample: The data.
        steps: Most steps.
        start: First state; W must not depend on the samples.
        damping: Share of the old W, f and V that is kept; the theory of the iteration is exact for
            0 alone, the fixed point is the same for all.
        onsager: Subtract `V f` from the fields. Without it the iteration is the naive one, which
            the theory does not describe.
        tolerance: Relative change of W at which to stop.

    A path whose weights overflow ends there; `diverged` says so, and damping helps.

    Cost: O(n d L) a step, and one factorisation of size L d for full covariances with l2.
    """
    kernel = _Kernel(problem, at, sample)
    state, history = start, []
    d = start.W.shape[1]
    diverged = False
    for _ in range(steps):
        W = state.W
        Q = np.stack([at.times_covariance(W, k) @ W.T / d for k in range(len(at.means))])
        reaction = np.einsum("nij,nj->ni", state.V[sample.cluster], state.f) if onsager else 0.0
        omega = sample.x @ W.T / np.sqrt(d) - reaction
        b, f, curvature = kernel.forces(omega, state.V, state.b)
        f = damping * state.f + (1 - damping) * f
        hats = np.stack(
            [curvature[sample.cluster == k].sum(axis=0) / d for k in range(len(at.means))]
        )
        B = f.T @ sample.x / np.sqrt(d)
        B = B + sum(hats[k] @ at.times_covariance(W, k) for k in range(len(hats)))
        new, V = kernel.weights(B, hats)
        new = damping * W + (1 - damping) * new
        V = damping * state.V + (1 - damping) * V
        change = float(np.linalg.norm(new - W) / max(np.linalg.norm(new), 1e-300))
        history.append((Q, W @ at.means.T / np.sqrt(d), state.V, b, change))
        state = Message(new, f, V, b)
        diverged = not np.abs(new).max() < _HUGE
        if diverged or change <= tolerance:
            break
    Q, m, V, b, change = (np.stack(part) for part in zip(*history, strict=True))
    return Passed(state, Q, m.transpose(0, 2, 1), V, b, change, diverged)


class _Kernel:
    """The two nonlinearities of a problem, on the samples and on the coordinates."""

    def __init__(self, problem: MixtureERM, at: Instance, sample: Sample) -> None:
        self.problem, self.at, self.sample = problem, at, sample
        labels = problem.mixture.labels
        self.code = problem.codes[labels]
        self.importance = problem.class_weights[labels]
        self.strength = float(problem.strength)

    def forces(
        self, omega: Float[np.ndarray, "sample output"], V: np.ndarray, guess: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The bias, and `f` and `-df/domega` of every sample at that bias."""
        with library_settings():
            arrays = (self.code, self.importance, self.sample.cluster, omega, V, guess)
            done = balanced(
                self.problem.loss, self.problem.fit_bias, *(jnp.asarray(a) for a in arrays)
            )
        b, f, slope = (np.asarray(part) for part in done)
        return b, f, slope

    def weights(
        self, B: Float[np.ndarray, "output dimension"], hats: Float[np.ndarray, "cluster o o"]
    ) -> tuple[np.ndarray, np.ndarray]:
        """`G(B)` and the responses."""
        L, d = B.shape
        if isinstance(self.problem.penalty, ElasticNet):
            ratio = self.problem.penalty.l1_ratio
            tau, ridge = self.strength * ratio, self.strength * (1 - ratio)
            A = np.einsum("k,kd->d", hats[:, 0, 0], self.at.variances) + ridge
            W = np.sign(B) * np.maximum(np.abs(B) - tau, 0) / A
            V = (self.at.variances * ((W[0] != 0) / A)).mean(axis=1)
            return W, V[:, None, None]
        if isinstance(self.problem.penalty, CustomPenalty):
            return self._custom(self.problem.penalty, B, hats)
        if self.at.blocks is None:
            A = np.einsum("kij,kd->dij", hats, self.at.variances) + self.strength * np.eye(L)
            R = np.linalg.inv(A)
            V = np.einsum("kd,dij->kij", self.at.variances, R) / d
            return np.einsum("dij,jd->id", R, B), V
        size = self.at.blocks.shape[1]
        lifted = np.einsum("kij,kac->iajc", hats, self.at.blocks).reshape(L * size, L * size)
        R = np.linalg.inv(lifted + self.strength * np.eye(L * size)).reshape(L, size, L, size)
        V = np.einsum("kac,icja->kij", self.at.blocks, R) / size
        W = np.einsum("iajc,jrc->ira", R, B.reshape(L, -1, size), optimize=True)
        return W.reshape(L, d), V

    def _custom(
        self, penalty: CustomPenalty, B: Float[np.ndarray, "output dimension"], hats: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Its proximal operator, and the derivative of that by `jax`."""
        with library_settings():
            A = jnp.asarray(np.einsum("k,kd->d", hats[:, 0, 0], self.at.variances))
            W, slope = jax.jvp(
                lambda one: penalty.prox(one, A, self.strength),
                (jnp.asarray(B[0]),),
                (jnp.ones_like(A),),
            )
        V = (self.at.variances * np.asarray(slope)).mean(axis=1)
        return np.asarray(W)[None], V[:, None, None]


def start_from(
    problem: MixtureERM,
    count: int,
    dimension: int,
    W: np.ndarray | None = None,
    response: float = 1.0,
) -> Message:
    """The state before the first step: no forces, equal responses, weights 0 or given."""
    L, K = problem.codes.shape[1], problem.mixture.clusters
    zero = np.zeros((L, dimension)) if W is None else W
    return Message(
        zero, np.zeros((count, L)), np.tile(response * np.eye(L), (K, 1, 1)), np.zeros(L)
    )
