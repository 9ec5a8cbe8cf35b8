r"""Order parameters of a deep linear network on one sample, and where the action is stationary.

With c_s = eta_s gamma0 Delta(s), fields of layer l obey

    h = u + C_h z,   C_h[t, s] = A^{l-1}(t, s) + c_s Phi^{l-1}(t, s) [s < t]
    z = r + C_z h,   C_z[t, s] = B^l(t, s) + c_s G^{l+1}(t, s) [s < t]

u ~ N(0, Phi^{l-1}), r ~ N(0, G^{l+1}), A^l = dh^l/dr^l, B^l = dz^{l+1}/du^{l+1}. All is causal, so
that going round as often as there are steps and layers ends at the solution.

Source: Bordelon & Pehlevan (2022), equations 7-9; docs/theory/fluctuations.md, Action.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from orderparam.kernels import KernelEvolution

SETTLED = 1e-15


class Parameters(NamedTuple):
    """All order parameters, or small changes of them; duals are those of the action.

    Kernels have axes (layer, time, time), responses one layer less, `Delta` the axis of time.
    """

    Phi: Float[Any, "layer time time"]
    G: Float[Any, "layer time time"]
    A: Float[Any, "between time time"]
    B: Float[Any, "between time time"]
    Delta: Float[Any, " time"]
    Phi_dual: Float[Any, "layer time time"]
    G_dual: Float[Any, "layer time time"]
    Delta_dual: Float[Any, " time"]


class Training(NamedTuple):
    """What is trained: the kernel of the input, its label, gamma0, and the rate of each step."""

    gram: float
    y: float
    gamma0: float
    rates: Float[Any, " time"]


def training_of(evolution: KernelEvolution, steps: int) -> Training:
    """The training of a problem with one sample."""
    data = evolution.data
    gram, y = float(data.gram()[0, 0]), float(data.targets()[0, 0])
    return Training(gram, y, evolution.gamma0, evolution.rates()[:steps])


def saddle(training: Training, depth: int, kernel_readout: bool = True) -> Parameters:
    """The order parameters of the limit.

    Args:
        training: What is trained.
        depth: Number of hidden layers.
        kernel_readout: Whether predictions move by the tangent kernel, as in the action, or are
            read out of the last layer, as in gradient descent.
    """
    count = len(training.rates)
    ones, none = np.ones((depth, count, count)), np.zeros((depth, count, count))
    Delta = np.full(count, training.y)
    q = Parameters(ones, ones, none[1:], none[1:], Delta, none, none, np.zeros(count))
    for _ in range(4 * depth * (count + 1)):
        new = _around(training, q, kernel_readout)
        moved = max(np.abs(a - b).max(initial=0.0) for a, b in zip(new, q, strict=True))
        q = new
        if not moved > SETTLED * max(np.abs(q.Phi).max(), 1.0):
            break
    return q


def _around(training: Training, q: Parameters, kernel_readout: bool) -> Parameters:
    """Averages and responses of all layers with the order parameters of the last time round."""
    depth, count = len(q.Phi), len(q.Delta)
    forward, backward = around(np.full((count, count), training.gram), q)
    strength, before = training.gamma0 * training.rates * q.Delta, np.tri(count, k=-1)
    eye, none = np.eye(count), np.zeros((count, count))
    Phi, G, A, B, cross = ([] for _ in range(5))
    for l in range(depth):  # noqa: E741
        C_h = strength * forward[l] * before + (q.A[l - 1] if l > 0 else none)
        C_z = strength * backward[l] * before + (q.B[l] if l + 1 < depth else none)
        answer = np.linalg.inv(np.block([[eye, -C_h], [-C_z, eye]]))
        V = answer @ np.block([[forward[l], none], [none, backward[l]]]) @ answer.T
        Phi.append(V[:count, :count])
        G.append(V[count:, count:])
        A.append(answer[:count, count:])
        B.append(answer[count:, :count])
        cross.append(np.diagonal(V[:count, count:]))
    new = q._replace(Phi=np.stack(Phi), G=np.stack(G))
    if depth > 1:
        new = new._replace(A=np.stack(A[:-1]), B=np.stack(B[1:]))
    if not kernel_readout:
        return new._replace(Delta=training.y - cross[-1] / training.gamma0)
    pushed = training.rates * tangent(training, new) * q.Delta
    return new._replace(Delta=training.y - np.concatenate([[0.0], np.cumsum(pushed)[:-1]]))


def around(first: Any, q: Parameters) -> tuple[list[Any], list[Any]]:
    """Covariances of u and of r of every layer."""
    return [first, *q.Phi[:-1]], [*q.G[1:], first * 0 + 1]


def tangent(training: Training, q: Parameters) -> Any:
    """The tangent kernel at every step."""
    count = np.arange(len(q.Delta))
    Phi, G = q.Phi[:, count, count], q.G[:, count, count]
    return training.gram * G[0] + (G[1:] * Phi[:-1]).sum(axis=0) + Phi[-1]
