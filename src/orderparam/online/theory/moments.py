"""The Gaussian averages that drive the overlaps, in one form for every activation."""

from dataclasses import replace
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from orderparam.support.plain_methods import PlainMethods


class State(NamedTuple):
    """Order parameters of one run: overlaps Q and M, and the second layer A = a/kappa.

    With structured inputs the overlaps have a leading axis for the bins.
    """

    Q: Float[Any, "*bin student student"]
    M: Float[Any, "*bin student teacher"]
    A: Float[Any, " student"]


class Bins(PlainMethods, eqx.Module):
    """Structured inputs: variance and share of the coordinates of each bin, teacher overlaps."""

    variances: Float[Any, " bin"]
    fractions: Float[Any, " bin"]
    T: Float[Any, "*draw bin teacher teacher"]

    def weighted(self, parts: Float[Array, "bin row unit"]) -> Float[Array, "row unit"]:
        """Sum over bins of variance times overlaps."""
        return jnp.tensordot(self.variances, parts, 1)


class Fixed(PlainMethods, eqx.Module):
    """What does not change during a run: teacher, and constants of error and activation.

    T is the covariance of the teacher's pre-activations; `normals` are the frozen random points of
    an activation without closed formulas.
    """

    T: Float[Any, "*draw teacher teacher"]
    B: Float[Any, " teacher"]
    label_noise: Float[Any, ""]
    offset: Float[Any, ""]
    shift: Float[Any, ""]
    population: bool = eqx.field(static=True)
    bins: Bins | None = None
    normals: Float[Any, "point unit"] | None = None

    def teachers(self) -> tuple[Float[Any, "..."], ...]:
        """What differs between draws: overlaps of the teacher."""
        return (self.T,) if self.bins is None else (self.T, self.bins.T)

    def with_teachers(self, parts: tuple[Float[Any, "..."], ...]) -> "Fixed":
        """The same for one draw's `teachers`."""
        if self.bins is None:
            return replace(self, T=parts[0])
        return replace(self, T=parts[0], bins=replace(self.bins, T=parts[1]))

    def preactivations(self, state: State) -> State:
        """The state with the covariances of the pre-activations as overlaps."""
        if self.bins is None:
            return state
        return State(self.bins.weighted(state.Q), self.bins.weighted(state.M), state.A)


class Moments(NamedTuple):
    """Averages over one input, with the error e without and (in `square`) with label noise.

    Args:
        loss: E[e^2]/2 without label noise.
        response: E[d(e s'(lambda_k))/du_j] for all units u = (lambda, nu): by Stein's lemma
            E[e s'(lambda_k) z] = sum_j response_kj Cov(u_j, z) for every jointly Gaussian z.
        student: E[e s'(lambda_k) lambda_l].
        teacher: E[e s'(lambda_k) nu_m].
        square: E[(e^2 + Delta) s'(lambda_k) s'(lambda_l)].
        readout: E[e s(lambda_k)].
    """

    loss: Float[Array, ""]
    response: Float[Array, "student unit"]
    student: Float[Array, "student student"]
    teacher: Float[Array, "student teacher"]
    square: Float[Array, "student student"]
    readout: Float[Array, " student"]


def mean_error(state: State, fixed: Fixed) -> Float[Array, ""]:
    """E[e] of the quadratic activation: tr(AQ) - tr(BT) - offset - c (sum A - sum B)."""
    if fixed.population:
        return jnp.zeros(())
    outputs = state.A @ jnp.diagonal(state.Q) - fixed.B @ jnp.diagonal(fixed.T)
    return outputs - fixed.offset - fixed.shift * (jnp.sum(state.A) - jnp.sum(fixed.B))


def _product(a: Float[Array, "i j"], b: Float[Array, "j k"]) -> Float[Array, "i k"]:
    """The matrix product as sums that fuse with what is around them: faster for small matrices."""
    return jnp.sum(a[:, :, None] * b, axis=1)


def quadratic_moments(state: State, fixed: Fixed) -> Moments:
    """Moments for s(lambda) = lambda^2 - c, exact by Wick's theorem.

    With D = W^T A W/N - W*^T B W*/N they contain m = tr D - offset, tau = tr D^2 and the overlaps
    G = W D W^T/N, H = W D W*^T/N, K = W D^2 W^T/N.

    Cost: O((p + p*)^3). Source: docs/theory/online.md, Quadratic activation.
    """
    Q, M, A = state
    T, B = fixed.T, fixed.B
    AQ, BT, AM, BMt = A[:, None] * Q, B[:, None] * T, A[:, None] * M, B[:, None] * M.T
    m = mean_error(state, fixed)
    tau = jnp.sum(AQ * AQ.T) - 2 * jnp.sum(AM * BMt.T) + jnp.sum(BT * BT.T)
    G = _product(Q, AQ) - _product(M, BMt)
    H = _product(Q, AM) - _product(M, BT)
    K = _product(G, AQ) - _product(H, BMt)
    square = (m**2 + 2 * tau + fixed.label_noise) * Q + 4 * m * G + 8 * K
    own = 2 * m * jnp.eye(len(A)) + 4 * Q * A
    return Moments(
        loss=(m**2 + 2 * tau) / 2,
        response=jnp.concatenate([own, -4 * M * B], axis=1),
        student=2 * (m * Q + 2 * G),
        teacher=2 * (m * M + 2 * H),
        square=4 * square,
        readout=m * jnp.diagonal(Q) + 2 * jnp.diagonal(G) - fixed.shift * m,
    )
