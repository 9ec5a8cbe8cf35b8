"""One round of the alternating scheme: fields from kernels, then kernels from fields.

Events are pairs of step and sample, steps slowest. With two-time kernels and responses given, the
Gaussian fields of all events are drawn at once, the single-site equations

    h^l = u^l + (A^{l-1} + C^l) g^l,   z^l = r^l + (B^l + D^l) phi^l,   g^l = phi'(h^l) z^l

are solved forward in time for every draw, and averages give new kernels and responses.

Source: Bordelon & Pehlevan (2022), section 3 and its sampling algorithm; docs/theory/kernels.md,
Alternating sampling.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from orderparam.numerics.activations import Activation
from orderparam.numerics.linear import cholesky, triangular_inverse

NOISE = 1e-7
"""Variance of the noise that is added to every field, relative to the field's own."""

CHUNK = 32
"""Draws whose Jacobians are held at once."""


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
    def above_variance(self) -> Float[Array, " layer"]:
        """sigma_{l+1}^2 of the matrix above each hidden layer; the readout has variance 1."""
        return jnp.append(self.variance[1:], 1.0)

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
    T, P = given.steps, given.gram.shape[0]
    M, N = given.couplings(order)
    u = _draw(given.draws[0], given.variance[:, None, None] * given.below(order))
    r = _draw(given.draws[1], given.above_variance[:, None, None] * given.above(order))
    h, z = _fields(given, M, N, u, r)
    phi = given.activation(h)
    g = given.activation.derivative(h) * z
    S = phi.shape[1]
    Phi = jnp.einsum("lsi,lsj->lij", phi, phi) / S
    G = jnp.einsum("lsi,lsj->lij", g, g) / S
    # At each time all samples see one readout w = z^L.
    raw = jnp.einsum("si,si->i", z[-1], phi[-1]).reshape(T, P) / S / given.gamma0
    A, B = jnp.zeros_like(order.A), jnp.zeros_like(order.B)
    if given.response and len(h) > 1:
        pairs = [_responses(given.activation, *layer) for layer in zip(M, N, h, z, strict=True)]
        scale = given.variance[1:, None, None]
        A = A.at[:-1].set(scale * jnp.stack([a for a, _ in pairs[:-1]]))
        B = B.at[:-1].set(scale * jnp.stack([b for _, b in pairs[1:]]))
    return Order(Phi, G, A, B, raw - raw[0])


def _draw(
    normals: Float[Array, "layer S event"], kernels: Float[Array, "layer event event"]
) -> Float[Array, "layer S event"]:
    """Gaussian fields of given covariance from standard normals.

    The root is triangular: events are ordered in time, so that a field never depends on later
    kernels and a round is right one step further than the round before. Kernels are almost
    singular; a little independent noise keeps the root finite.
    """
    events = kernels.shape[-1]
    noise = NOISE * jnp.trace(kernels, axis1=-2, axis2=-1) / events
    roots = cholesky(kernels + noise[:, None, None] * jnp.eye(events))
    return jnp.einsum("lsi,lji->lsj", normals, roots)


def _fields(
    given: Round, M: Array, N: Array, u: Array, r: Array
) -> tuple[Float[Array, "layer S event"], Float[Array, "layer S event"]]:
    """h^l and z^l of every draw, forward in time."""
    P = given.gram.shape[0]
    slope = given.activation.derivative

    def step(carry: tuple[Array, Array], t: Array) -> tuple[tuple[Array, Array], Any]:
        phi, g = carry
        rows = [lax.dynamic_slice_in_dim(a, t * P, P, axis=1) for a in (M, N)]
        now = [lax.dynamic_slice_in_dim(a, t * P, P, axis=2) for a in (u, r)]
        # Later events of phi and g are still zero, so causality needs no mask.
        h = now[0] + jnp.einsum("lsj,lij->lsi", g, rows[0])
        phi = lax.dynamic_update_slice_in_dim(phi, given.activation(h), t * P, axis=2)
        z = now[1] + jnp.einsum("lsj,lij->lsi", phi, rows[1])
        # z^l needs phi^l at this step, but h^{l+1} only earlier g: all layers go at once.
        g = lax.dynamic_update_slice_in_dim(g, slope(h) * z, t * P, axis=2)
        return (phi, g), (h, z)

    zero = jnp.zeros_like(u)
    _, (h, z) = lax.scan(step, (zero, zero), jnp.arange(given.steps))
    h, z = (a.transpose(1, 2, 0, 3).reshape(u.shape) for a in (h, z))
    return h, z


def _responses(
    activation: Activation,
    M: Float[Array, "event event"],
    N: Float[Array, "event event"],
    h: Float[Array, "S event"],
    z: Float[Array, "S event"],
) -> tuple[Float[Array, "event event"], Float[Array, "event event"]]:
    """<d phi / d r> and <d g / d u> of one layer, from the Jacobian of every draw.

    With D = diag(phi'), E = diag(phi'' z) and K = E + D N D, the linearised equations give
    dg/dr = (1 - K M)^{-1} D, dphi/dr = D M dg/dr and dg/du = (1 - K M)^{-1} K; K M is strictly
    causal, so that 1 - K M is triangular.
    """
    slope = activation.derivative

    def one(h: Float[Array, " event"], z: Float[Array, " event"]) -> tuple[Array, Array]:
        d, bend = jax.jvp(slope, (h,), (jnp.ones_like(h),))
        K = jnp.diag(bend * z) + d[:, None] * N * d
        eye = jnp.eye(len(h))
        inverse = triangular_inverse(eye - K @ M)
        return d[:, None] * (M @ (inverse * d)), inverse @ K

    def chunk(total: tuple[Array, Array], part: tuple[Array, Array]) -> tuple[Any, None]:
        new = jax.vmap(one)(*part)
        return jax.tree.map(lambda a, b: a + b.sum(axis=0), total, new), None

    zero = jnp.zeros_like(M)
    shape = (-1, CHUNK, h.shape[1])
    total, _ = lax.scan(chunk, (zero, zero), (h.reshape(shape), z.reshape(shape)))
    return total[0] / len(h), total[1] / len(h)
