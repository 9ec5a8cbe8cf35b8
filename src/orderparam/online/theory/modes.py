"""Singular modes of the isotropic quadratic model, which stay what they are at the start.

With A = a I, B = b I, T = theta I and Q(0) a multiple of I, the overlaps keep the form
`Q = U diag(q) U^T`, `M = U diag(mu) V^T` with the singular vectors of M(0).
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from orderparam.online.theory.flow import Rule
from orderparam.online.theory.moments import Fixed, State
from orderparam.support.plain_methods import PlainMethods


class ModalState(NamedTuple):
    """Squared norms q and overlaps mu of the modes; mu is 0 beyond min(p, p*)."""

    q: Float[Array, " student"]
    mu: Float[Array, " student"]


class Modes(PlainMethods, eqx.Module):
    """What turns the modes of one start into overlaps.

    Args:
        left: U, singular vectors in the students' space, by columns.
        right: V^T, those in the teachers' space, by rows.
        A: Second layer, a multiple of ones.
        q: Squared norms at the start.
        mu: Singular values of M at the start, padded to p.
    """

    left: Float[Any, "*draw student student"]
    right: Float[Any, "*draw teacher teacher"]
    A: Float[Any, "*draw student"]
    q: Float[Any, "*draw student"]
    mu: Float[Any, "*draw student"]

    def start(self) -> ModalState:
        """The modes at time 0."""
        return ModalState(self.q, self.mu)

    def overlaps(self, modes: ModalState) -> State:
        """Overlaps at many times (leading axis); infinite where the modes are, after a blow-up."""
        rank = min(self.left.shape[-1], self.right.shape[-1])
        Q = (self.left * modes.q[:, None, :]) @ self.left.T
        M = (self.left[:, :rank] * modes.mu[:, None, :rank]) @ self.right[:rank]
        lost = ~jnp.isfinite(modes.q.sum(axis=1))[:, None, None]
        Q, M = (jnp.where(lost, jnp.inf, part) for part in (Q, M))
        return State(Q, M, jnp.broadcast_to(self.A, modes.q.shape))

    def single(self, modes: ModalState) -> State:
        """Overlaps at one time."""
        many = self.overlaps(ModalState(modes.q[None], modes.mu[None]))
        return State(many.Q[0], many.M[0], many.A[0])


def modal_velocity(t: Any, state: ModalState, args: tuple[Fixed, Rule, Modes]) -> ModalState:
    """Time derivative of the modes, that of the overlaps in their basis.

    Cost: O(p). Source: docs/theory/online.md, Modal equations.
    """
    fixed, rule, modes = args
    a, b, theta = modes.A[0], fixed.B[0], fixed.T[0, 0]
    q, mu, eta = state.q, state.mu, rule.rates(t)[0]
    teachers = len(fixed.B)
    constant = fixed.offset + fixed.shift * (a * len(q) - b * teachers)
    m = a * jnp.sum(q) - b * theta * teachers - constant
    m = jnp.zeros(()) if fixed.population else m
    tau = jnp.sum((a * q) ** 2 - 2 * a * b * mu**2) + (b * theta) ** 2 * teachers
    G = a * q**2 - b * mu**2
    K = a * q * G - b * mu**2 * (a * q - b * theta)
    square = (m**2 + fixed.label_noise + 2 * tau) * q + 4 * m * G + 8 * K
    dmu = -2 * eta * a * mu * (m + 2 * (a * q - b * theta))
    dq = -4 * eta * a * (m * q + 2 * G) + 4 * eta**2 * rule.noise * a**2 * square
    decay = rule.weight_decay
    return ModalState(dq - 2 * decay * q, dmu - decay * mu)
