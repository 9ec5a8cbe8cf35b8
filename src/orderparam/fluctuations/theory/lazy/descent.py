r"""Gradient descent with a kernel that does not move, as a polynomial of the kernel.

On squared error with full batches

    f(t) = f(0) + K_{.,train} Q_t(K) (y - f(0)),   Q_{t+1} = Q_t + eta_t W_t,
    W_t = beta W_{t-1} + (1 - K Q_t)/P

so that a change dK of the kernel changes f by dK Q_t y + K U ((U^T dK U) o Q_t[.,.]) U^T y, with
U the eigenvectors of K on training samples and Q_t[a, b] = (Q_t(a) - Q_t(b))/(a - b) divided
differences, which a recursion of their own gives without cancellation, also for a = b.

Source: Daleckii & Krein (1965) for the derivative; docs/theory/fluctuations.md, Lazy networks.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from orderparam.fluctuations.theory.lazy.start import Matrix
from orderparam.kernels import KernelEvolution


class Descent(NamedTuple):
    """Training with a frozen kernel, at the saved steps.

    Attributes:
        K: The kernel of all with training samples.
        U: Eigenvectors on training samples.
        Q: Q_t at the eigenvalues.
        divided: Q_t[a, b] at pairs of them.
        y: Labels.
        centered: Whether f(0) is subtracted.
    """

    K: Float[np.ndarray, "sample train"]
    U: Float[np.ndarray, "train mode"]
    Q: Float[np.ndarray, "time mode"]
    divided: Float[np.ndarray, "time mode mode"]
    y: Float[np.ndarray, " train"]
    centered: bool

    def limit(self) -> Float[np.ndarray, "time sample"]:
        """Predictions of infinitely wide networks."""
        return self.pushed() @ self.K.T

    def pushed(self) -> Float[np.ndarray, "time train"]:
        """S(t) = Q_t(K) y, the sum of all error signals so far: f = K S."""
        return (self.Q * (self.U.T @ self.y)) @ self.U.T

    def movement(self) -> Float[np.ndarray, " time"]:
        """S^T K S: what the weights of a neuron have moved, squared, over gamma0^2."""
        train, S = self.K[: len(self.y)], self.pushed()
        return np.einsum("tk,kl,tl->t", S, train, S)

    def answers(
        self, dK: Float[np.ndarray, "neuron sample sample"]
    ) -> Float[np.ndarray, "time neuron sample"]:
        """Changes of predictions with changes of the kernel."""
        train = len(self.y)
        direct = np.einsum("nsk,tk->tns", dK[:, :, :train], self.pushed())
        moved = self.U.T @ dK[:, :train, :train] @ self.U
        through = np.einsum("nkl,tkl,l->tnk", moved, self.divided, self.U.T @ self.y)
        return direct + through @ (self.K @ self.U).T

    def from_start(
        self, f0: Float[np.ndarray, "neuron sample"]
    ) -> Float[np.ndarray, "time neuron sample"]:
        """Changes of predictions with those before training, where these are not subtracted."""
        if self.centered:
            return np.zeros((len(self.Q), *f0.shape))
        learned = (f0[:, : len(self.y)] @ self.U) * self.Q[:, None, :]
        return f0 - learned @ (self.K @ self.U).T


def descent_of(evolution: KernelEvolution, K: Matrix, saved: Int[np.ndarray, " time"]) -> Descent:
    """The training of a problem with a kernel of its training, then its test samples."""
    train = evolution.data.count
    values, vectors = np.linalg.eigh(K[:train, :train])
    values = np.maximum(values, 0.0)
    Q, divided = _polynomials(values, evolution.rates(), evolution.momentum, saved)
    y = evolution.data.targets()[:, 0]
    return Descent(K[:, :train], vectors, Q, divided, y, evolution.centered)


def _polynomials(
    values: Float[np.ndarray, " mode"],
    rates: Float[np.ndarray, " step"],
    momentum: float,
    saved: Int[np.ndarray, " time"],
) -> tuple[Float[np.ndarray, "time mode"], Float[np.ndarray, "time mode mode"]]:
    """Q_t at the eigenvalues and its divided differences, where they are saved."""
    count, wanted = len(values), set(saved.tolist())
    Q, W = np.zeros((2, count))
    pairs, push = np.zeros((2, count, count))
    kept: list[tuple[np.ndarray, np.ndarray]] = []
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(int(saved[-1]) + 1):
            if t in wanted:
                kept.append((Q, pairs))
            W = momentum * W + (1 - values * Q) / count
            # (a Q)[a, b] = a Q[a, b] + Q(b)
            push = momentum * push - (values[:, None] * pairs + Q) / count
            Q, pairs = Q + rates[t] * W, pairs + rates[t] * push
    return np.stack([one for one, _ in kept]), np.stack([both for _, both in kept])
