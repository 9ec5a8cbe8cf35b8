"""The weight side: overlaps of the estimator from the conjugate parameters."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import jax.scipy.linalg as linalg
from jaxtyping import Array, Float

from orderparam.mixtures.model.penalties import L2, ElasticNet, Separable
from orderparam.mixtures.model.spectrum import Diagonal, Full, Sampled
from orderparam.mixtures.theory.lasso import minimise, response
from orderparam.numerics.linear import solve_small


class Conjugates(NamedTuple):
    """What the samples exert on the weights: curvature, noise and drift of each cluster."""

    V: Float[Any, "cluster output output"]
    Q: Float[Any, "cluster output output"]
    m: Float[Any, "cluster output"]


class Weights(NamedTuple):
    """What the weights answer.

    Attributes:
        V: Response `tr(Sigma_k dW/dB)/d`.
        Q: Second moments `W Sigma_k W^T / d`.
        m: Means `W mu_k / sqrt(d)`.
        J: Derivative of `m` by the drift.
        penalty: `E r(W) / d`.
        norm: `|W|^2 / d`.
        active: Share of non-zero coordinates.
    """

    V: Float[Any, "cluster output output"]
    Q: Float[Any, "cluster output output"]
    m: Float[Any, "cluster output"]
    J: Float[Any, "cluster cluster output output"]
    penalty: Float[Any, ""]
    norm: Float[Any, ""]
    active: Float[Any, ""]


def answer(
    hats: Conjugates, strength: Float[Array, ""], spectrum: Diagonal | Full, penalty: L2 | Separable
) -> Weights:
    """Average the minimiser of `strength r(W) + sum_k tr(Vhat_k W Sigma_k W^T)/2 - <B, W>`.

    Cost: vector operations over the atoms, or for full matrices one factorisation of size L d.
    """
    if isinstance(spectrum, Sampled):
        assert isinstance(penalty, ElasticNet)
        return _sampled(hats, strength, spectrum, penalty)
    if isinstance(penalty, Separable):
        assert isinstance(spectrum, Diagonal)
        return _separable(hats, strength, spectrum, penalty)
    if isinstance(spectrum, Diagonal):
        return _ridge_atoms(hats, strength, spectrum)
    return _ridge_full(hats, strength, spectrum)


def _ridge_atoms(hats: Conjugates, strength: Array, spectrum: Diagonal) -> Weights:
    count = hats.m.shape[1]
    identity = jnp.eye(count)
    p, sigma, gram = spectrum.shares, spectrum.variances, _gram(spectrum)
    curved = strength * identity + jnp.einsum("ak,kij->aij", sigma, hats.V)
    R = solve_small(curved, jnp.broadcast_to(identity, curved.shape))
    second = jnp.einsum("ak,kij->aij", sigma, hats.Q)
    second = second + jnp.einsum("akl,ki,lj->aij", gram, hats.m, hats.m)
    square = R @ second @ R
    J = jnp.einsum("a,akl,aij->klij", p, gram, R)
    norm = jnp.einsum("a,aii->", p, square)
    return Weights(
        V=jnp.einsum("a,ak,aij->kij", p, sigma, R),
        Q=jnp.einsum("a,ak,aij->kij", p, sigma, square),
        m=jnp.einsum("klij,lj->ki", J, hats.m),
        J=J,
        penalty=norm / 2,
        norm=norm,
        active=jnp.ones(()),
    )


def _ridge_full(hats: Conjugates, strength: Array, spectrum: Full) -> Weights:
    sigma, mu = jnp.asarray(spectrum.covariances), jnp.asarray(spectrum.means)
    d, L = mu.shape[1], hats.m.shape[1]

    def lifted(small: Array) -> Array:
        return jnp.einsum("kij,kac->iajc", small, sigma).reshape(L * d, L * d)

    factor = linalg.cho_factor(strength * jnp.eye(L * d) + lifted(hats.V))
    flat = linalg.cho_solve(factor, jnp.eye(L * d))
    spread = flat @ lifted(hats.Q) @ flat / d
    R, S = flat.reshape(L, d, L, d), spread.reshape(L, d, L, d)
    J = jnp.einsum("ka,iajc,lc->klij", mu, R, mu, optimize=True)
    mean = jnp.einsum("iajc,kj,kc->ia", R, hats.m, mu, optimize=True)
    norm = jnp.einsum("iaia->", S) + jnp.sum(mean**2)
    return Weights(
        V=jnp.einsum("kac,icja->kij", sigma, R) / d,
        Q=jnp.einsum("kac,icja->kij", sigma, S)
        + jnp.einsum("ia,kac,jc->kij", mean, sigma, mean, optimize=True),
        m=(mean @ mu.T).T,
        J=J,
        penalty=norm / 2,
        norm=norm,
        active=jnp.ones(()),
    )


def _separable(
    hats: Conjugates, strength: Array, spectrum: Diagonal, penalty: Separable
) -> Weights:
    """One output; the Gaussian part of the mean entries is integrated by Stein's identity."""
    p, sigma, t = (jnp.asarray(v) for v in (spectrum.shares, spectrum.variances, spectrum.means))
    drift, g = hats.m[:, 0], jnp.asarray(spectrum.loadings)
    pulled = jnp.einsum("akr,k->ar", g, drift)
    s = jnp.sqrt(jnp.sum(pulled**2, axis=1) + sigma @ hats.Q[:, 0, 0])
    first, square, slope, value, active = penalty.averages(
        strength, sigma @ hats.V[:, 0, 0], t @ drift, s
    )
    m = (p * first) @ t + jnp.einsum("a,a,akr,ar->k", p, slope, g, pulled)
    J = jnp.einsum("a,a,akl->kl", p, slope, _gram(spectrum))
    return Weights(
        V=((p * slope) @ sigma)[:, None, None],
        Q=((p * square) @ sigma)[:, None, None],
        m=m[:, None],
        J=J[:, :, None, None],
        penalty=p @ value,
        norm=p @ square,
        active=p @ active,
    )


def _sampled(hats: Conjugates, strength: Array, spectrum: Sampled, penalty: ElasticNet) -> Weights:
    """One output, matrices that do not share a basis: the mean over draws of the noise."""
    sigma, mu, noise = (
        jnp.asarray(v) for v in (spectrum.covariances, spectrum.means, spectrum.noise)
    )
    d, ratio = mu.shape[1], penalty.l1_ratio
    curved = jnp.einsum("k,kij->ij", hats.V[:, 0, 0], sigma)
    curved = curved + strength * (1 - ratio) * jnp.eye(d)
    B = jnp.sqrt(d) * hats.m[:, 0] @ mu
    B = B + jnp.einsum("k,nki->ni", jnp.sqrt(jnp.maximum(hats.Q[:, 0, 0], 0.0)), noise)
    w = minimise(curved, B, strength * ratio)
    slope = jnp.mean(response(curved, w != 0), axis=0)
    norm, size = jnp.sum(w**2, axis=1).mean() / d, jnp.abs(w).sum(axis=1).mean() / d
    Q = jnp.einsum("ni,kij,nj->k", w, sigma, w, optimize=True) / (d * len(w))
    return Weights(
        V=(jnp.einsum("kij,ij->k", sigma, slope) / d)[:, None, None],
        Q=Q[:, None, None],
        m=(jnp.mean(w, axis=0) @ mu.T / jnp.sqrt(d))[:, None],
        J=(mu @ slope @ mu.T)[:, :, None, None],
        penalty=ratio * size + (1 - ratio) * norm / 2,
        norm=norm,
        active=jnp.mean((w != 0).astype(w.dtype)),
    )


def _gram(spectrum: Diagonal) -> Array:
    t, g = jnp.asarray(spectrum.means), jnp.asarray(spectrum.loadings)
    return t[:, :, None] * t[:, None, :] + jnp.einsum("akr,alr->akl", g, g)
