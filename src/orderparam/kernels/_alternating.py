"""One round of the alternating scheme: fields from kernels, then kernels from fields.

Events are pairs of step and sample, steps slowest. With two-time kernels and responses given, the
Gaussian fields of all events are drawn at once, the single-site equations

    h^l = u^l + (A^{l-1} + C^l) g^l,   z^l = r^l + (B^l + D^l) phi^l,   g^l = phi'(h^l) z^l

are solved forward in time for every draw, and averages give new kernels and responses.

Source: Bordelon & Pehlevan (2022), section 3 and its sampling algorithm.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from orderparam.kernels.activations import Activation

NOISE = 1e-5
"""Variance of the noise that is added to every field, relative to the field's own."""


class Order(NamedTuple):
    """Order parameters over events: kernels, responses and predictions.

    `Phi[l]` and `A[l]` belong to hidden layer l + 1, `G[l]` and `B[l]` likewise; the last A and B
    are zero.
    """

    Phi: Float[Array, "layer event event"]
    G: Float[Array, "layer event event"]
    A: Float[Array, "layer event event"]
    B: Float[Array, "layer event event"]
    f: Float[Array, "step sample"]


class Round(eqx.Module):
    """What a round needs beside the order parameters.

    Attributes:
        gram: Phi^0 over samples.
        y: Train labels; samples after them are passive.
        rates: eta at each step.
        gamma0: Feature-learning strength.
        variance: sigma_l^2 of W^0 ... W^{L-1}.
        draws: Standard normals for the forward and backward fields of each layer.
    """

    gram: Float[Array, "sample sample"]
    y: Float[Array, " train"]
    rates: Float[Array, " step"]
    gamma0: Float[Array, ""]
    variance: Float[Array, " layer"]
    draws: Float[Array, "2 layer S event"]
    activation: Activation = eqx.field(static=True)
    response: bool = eqx.field(static=True)

    @property
    def steps(self) -> int:
        """Number of steps T."""
        return self.rates.shape[0]

    def below(self, order: Order) -> Float[Array, "layer event event"]:
        """Phi^{l-1} of each hidden layer l."""
        inputs = jnp.tile(self.gram, (self.steps, self.steps))
        return jnp.concatenate([inputs[None], order.Phi[:-1]])

    def above(self, order: Order) -> Float[Array, "layer event event"]:
        """G^{l+1} of each hidden layer l."""
        return jnp.concatenate([order.G[1:], jnp.ones_like(order.G[:1])])

    def couplings(self, order: Order) -> tuple[Array, Array]:
        """M^l = A^{l-1} + C^l and N^l = B^l + D^l, causal matrices over events."""
        samples, train = self.gram.shape[0], self.y.shape[0]
        step = jnp.repeat(jnp.arange(self.steps), samples)
        delta = jnp.zeros_like(order.f).at[:, :train].set(self.y - order.f[:, :train])
        push = (self.rates[:, None] * self.gamma0 / train * delta).ravel()
        push = jnp.where(step[:, None] > step, push, 0.0)
        A = jnp.concatenate([jnp.zeros_like(order.A[:1]), order.A[:-1]])
        return A + push * self.below(order), order.B + push * self.above(order)


@eqx.filter_jit
def advance(given: Round, order: Order) -> Order:
    """New order parameters from old ones; the same draws in every round."""
    L, T, P = given.variance.shape[0], given.steps, given.gram.shape[0]
    M, N = given.couplings(order)
    above_variance = jnp.append(given.variance[1:], 1.0)[:, None, None]
    roots_u, inverse_u = _roots(given.variance[:, None, None] * given.below(order))
    roots_r, inverse_r = _roots(above_variance * given.above(order))
    u = jnp.einsum("lsi,lji->lsj", given.draws[0], roots_u)
    r = jnp.einsum("lsi,lji->lsj", given.draws[1], roots_r)
    phi, g, w = _fields(given, M, N, u, r)
    S = phi.shape[1]
    Phi = jnp.einsum("lsi,lsj->lij", phi, phi) / S
    G = jnp.einsum("lsi,lsj->lij", g, g) / S
    raw = jnp.einsum("si,si->i", w, phi[-1]).reshape(T, P) / S / given.gamma0
    f = raw - raw[0]
    A, B = jnp.zeros_like(order.A), jnp.zeros_like(order.B)
    if given.response and L > 1:
        # Stein: sigma^2 <d phi / d r> = sigma^2 <phi zeta> R^{-1} for r = R zeta, and likewise for
        # g and u. They act on fields of covariance R R^T, so that small pivots amplify no noise.
        step = jnp.repeat(jnp.arange(T), P)
        A = jnp.einsum("lsi,lsj->lij", phi, given.draws[1]) / S @ inverse_r * above_variance
        A = jnp.where(step[:, None] > step, A, 0.0).at[-1].set(0.0)
        B = jnp.einsum("lsi,lsj->lij", g[1:], given.draws[0, 1:]) / S @ inverse_u[1:]
        B = jnp.where(step[:, None] >= step, B * given.variance[1:, None, None], 0.0)
        B = jnp.concatenate([B, jnp.zeros_like(order.B[:1])])
    return Order(Phi, G, A, B, f)


def _roots(kernels: Float[Array, "layer event event"]) -> tuple[Array, Array]:
    """Triangular roots of kernels and their inverses.

    Events are ordered in time, so that a field depends on earlier normals only and responses come
    out causal. Kernels are almost singular; a little independent noise keeps the roots finite.
    """
    events = kernels.shape[-1]
    noise = NOISE * jnp.trace(kernels, axis1=-2, axis2=-1) / events
    eye = jnp.eye(events)
    roots = jnp.linalg.cholesky(kernels + noise[:, None, None] * eye)
    return roots, jax.vmap(lambda a: jax.scipy.linalg.solve_triangular(a, eye, lower=True))(roots)


def _fields(
    given: Round, M: Array, N: Array, u: Array, r: Array
) -> tuple[Float[Array, "layer S event"], Float[Array, "layer S event"], Float[Array, "S event"]]:
    """phi^l and g^l of every draw, and the readout w = z^L, forward in time."""
    L, S, events = u.shape
    P = given.gram.shape[0]
    slope = jax.vmap(given.activation.derivative)

    def step(carry: tuple[Array, Array], t: Array) -> tuple[tuple[Array, Array], Array]:
        phi, g = carry
        rows = [lax.dynamic_slice_in_dim(a, t * P, P, axis=1) for a in (M, N)]
        now = [lax.dynamic_slice_in_dim(a, t * P, P, axis=2) for a in (u, r)]
        # Later events of phi and g are still zero, so causality needs no mask.
        h = now[0] + jnp.einsum("lsj,lij->lsi", g, rows[0])
        phi = lax.dynamic_update_slice_in_dim(phi, given.activation(h), t * P, axis=2)
        z = now[1] + jnp.einsum("lsj,lij->lsi", phi, rows[1])
        # z^l needs phi^l at this step, but h^{l+1} only earlier g: all layers go at once.
        g = lax.dynamic_update_slice_in_dim(g, slope(h) * z, t * P, axis=2)
        return (phi, g), z[-1]

    zero = jnp.zeros((L, S, events))
    (phi, g), w = lax.scan(step, (zero, zero), jnp.arange(given.steps))
    return phi, g, w.transpose(1, 0, 2).reshape(S, events)
