"""The saddle-point equations as a map of the overlaps to themselves."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from orderparam.mixtures.model.losses import Field, Loss
from orderparam.mixtures.model.penalties import L2, Separable
from orderparam.mixtures.model.spectrum import Diagonal, Full
from orderparam.mixtures.theory.weights import Conjugates, Weights, answer
from orderparam.numerics.linear import exponential, logarithm, solve

_TINY = 1e-290


class Overlaps(NamedTuple):
    """The order parameters: response, second moments, means by cluster, and the common bias."""

    V: Float[Any, "cluster output output"]
    Q: Float[Any, "cluster output output"]
    m: Float[Any, "cluster output"]
    b: Float[Any, " output"]


class Setup(eqx.Module):
    """Everything of a problem but the ratio `alpha = n/d` and the strength of the penalty."""

    spectrum: Diagonal | Full
    weights: Float[Any, " cluster"]
    test_weights: Float[Any, " cluster"]
    importance: Float[Any, " cluster"]
    codes: Float[Any, "cluster output"]
    nodes: Float[Any, "node output"]
    node_weights: Float[Any, " node"]
    loss: Loss = eqx.field(static=True)
    penalty: L2 | Separable = eqx.field(static=True)
    fit_bias: bool = eqx.field(static=True)


class Point(NamedTuple):
    """Samples per dimension and strength of the penalty."""

    alpha: Float[Any, ""]
    strength: Float[Any, ""]


class Image(NamedTuple):
    """One application of the map.

    Attributes:
        hats: The conjugate parameters.
        weights: The answer of the weights.
        train_loss: `sum_k rho_k c_k E l(h_k)`.
        residual: Largest change by the map, relative to the scale of each quantity.
    """

    hats: Conjugates
    weights: Weights
    train_loss: Float[Array, ""]
    residual: Float[Array, ""]


def channel(setup: Setup, alpha: Array, x: Overlaps) -> tuple[Conjugates, Array]:
    """Conjugate parameters and training loss: one Gaussian average a cluster.

    A weight c of a cluster's loss is a response c V: `prox_{c l, V} = prox_{l, c V}`.
    """

    def cluster(V: Array, Q: Array, m: Array, code: Array, c: Array) -> tuple[Array, ...]:
        field = Field(m + x.b, Q, c * V, code)
        f, ff, slope, loss = setup.loss.moments(field, setup.nodes, setup.node_weights)
        return c * f, c**2 * ff, c * slope, c * loss

    f, ff, slope, loss = jax.vmap(cluster)(x.V, x.Q, x.m, setup.codes, setup.importance)
    share = alpha * setup.weights
    hats = Conjugates(share[:, None, None] * slope, share[:, None, None] * ff, share[:, None] * f)
    return hats, setup.weights @ loss


def image(
    setup: Setup, point: Point, x: Overlaps, forces: tuple[Conjugates, Array] | None = None
) -> Image:
    """Apply both sides once; `forces` are those of the channel where they are known."""
    hats, loss = channel(setup, point.alpha, x) if forces is None else forces
    new = answer(hats, point.strength, setup.spectrum, setup.penalty)
    return Image(hats, new, loss, _residual(setup, x, new, hats))


def semi_implicit(setup: Setup, x: Overlaps, done: Image) -> Overlaps:
    """New overlaps, with means and bias moved by the linearised equations.

    Undamped iteration of the means oscillates with the factor `-mu^T Sigma^-1 mu`; solving
    `dm + J Vhat (dm + 1 db) = m_new - m`, `sum_k Vhat_k (dm_k + db) = sum_k mhat_k` removes that.
    """
    K, L = x.m.shape
    V, J = done.hats.V, done.weights.J
    JV = jnp.einsum("klij,ljn->kiln", J, V)
    mean = (jnp.eye(K * L).reshape(K, L, K, L) + JV).reshape(K * L, K * L)
    gap = (done.weights.m - x.m).ravel()
    if not setup.fit_bias:
        moved = solve(mean, gap[:, None]).reshape(K, L)
        return Overlaps(done.weights.V, done.weights.Q, x.m + moved, x.b)
    column = jnp.sum(JV, axis=2).reshape(K * L, L)
    row = V.transpose(1, 0, 2).reshape(L, K * L)
    system = jnp.block([[mean, column], [row, jnp.sum(V, axis=0)]])
    sides = jnp.concatenate([gap, jnp.sum(done.hats.m, axis=0)])
    moved = solve(system, sides[:, None])[:, 0]
    step = moved[K * L :]
    limit = 3 * (1 + jnp.abs(x.b))
    return Overlaps(
        done.weights.V,
        done.weights.Q,
        x.m + moved[: K * L].reshape(K, L),
        x.b + jnp.clip(step, -limit, limit),
    )


def pack(x: Overlaps) -> Float[Array, " unknown"]:
    """Unconstrained variables of order 1: logarithms of matrices, means in units of the spread.

    Of these the inverse hyperbolic sine, since clusters of little noise have means of many spreads.
    """
    upper = jnp.triu_indices(x.b.shape[0])
    logs = [logarithm(matrix)[:, upper[0], upper[1]].ravel() for matrix in (x.V, x.Q)]
    scale = _spread(x.Q)
    # Losses have the scale 1, which the bias keeps when the weights vanish.
    means = jnp.arcsinh(x.m / scale[:, None])
    return jnp.concatenate([*logs, means.ravel(), x.b / (1 + scale[0])])


def unpack(packed: Float[Array, " unknown"], clusters: int, outputs: int) -> Overlaps:
    """The overlaps of `pack`."""
    upper = jnp.triu_indices(outputs)
    size = clusters * len(upper[0])

    def matrix(entries: Array) -> Array:
        half = (
            jnp.zeros((clusters, outputs, outputs))
            .at[:, upper[0], upper[1]]
            .set(entries.reshape(clusters, -1))
        )
        diagonal = half * jnp.eye(outputs)
        return exponential(half + half.mT - diagonal)

    V, Q = matrix(packed[:size]), matrix(packed[size : 2 * size])
    scale = _spread(Q)
    rest = packed[2 * size :]
    m = jnp.sinh(rest[: clusters * outputs].reshape(clusters, outputs)) * scale[:, None]
    return Overlaps(V, Q, m, rest[clusters * outputs :] * (1 + scale[0]))


def _residual(setup: Setup, x: Overlaps, new: Weights, hats: Conjugates) -> Array:
    def gap(a: Array, b: Array) -> Array:
        size = jnp.trace(a, axis1=1, axis2=2) / a.shape[1] + _TINY
        return jnp.max(jnp.abs(a - b) / size[:, None, None])

    means = jnp.max(jnp.abs(new.m - x.m) / size_of_means(x))
    parts = [gap(x.V, new.V), gap(x.Q, new.Q), means]
    if setup.fit_bias:
        total = jnp.sum(jnp.abs(hats.m), axis=0).max() + _TINY
        parts.append(jnp.max(jnp.abs(jnp.sum(hats.m, axis=0))) / total)
    return jnp.max(jnp.stack(parts))


def size_of_means(x: Overlaps) -> Float[Array, "cluster output"]:
    """The spread, in which means are measured, and where it vanishes a thousandth of the mean."""
    return jnp.maximum(_spread(x.Q)[:, None], 1e-3 * jnp.abs(x.m))


def _spread(Q: Array) -> Float[Array, " cluster"]:
    return jnp.sqrt(jnp.trace(Q, axis1=1, axis2=2) / Q.shape[1] + _TINY)
