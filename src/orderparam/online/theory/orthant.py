"""Moments of Gaussian vectors restricted to the positive orthant, up to four dimensions.

Source: Plackett (1954) for four dimensions; docs/theory/online.md, General activations.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Cov = Float[Array, "*batch unit unit"]
_TINY = 1e-14
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(48)


def _safe_ratio(above: Float[Array, "..."], square: Float[Array, "..."]) -> Float[Array, "..."]:
    """above/sqrt(square), and 0 where the variance has vanished."""
    positive = square > _TINY
    return jnp.where(positive, above / jnp.sqrt(jnp.where(positive, square, 1.0)), 0.0)


def _angle(S: Cov, i: int, j: int) -> Float[Array, "*batch"]:
    """The arcsine of a correlation."""
    rho = _safe_ratio(S[..., i, j], S[..., i, i] * S[..., j, j])
    return jnp.arcsin(jnp.clip(rho, -1.0, 1.0))


def conditioned(S: Cov, j: int) -> Float[Array, "*batch rest rest"]:
    """Covariance of the other components given that component j is zero (Schur complement)."""
    rest = np.delete(np.arange(S.shape[-1]), j)
    scaled = _safe_ratio(S[..., rest, j], S[..., j, j, None])
    block = S[..., rest[:, None], rest]
    return block - scaled[..., :, None] * scaled[..., None, :]


def probability(S: Cov) -> Float[Array, "*batch"]:
    """Probability that all components are positive."""
    size = S.shape[-1]
    if size == 4:
        return _probability_four(S)
    if size > 4:
        raise ValueError("Orthant probabilities are known up to four dimensions.")
    pairs = [(i, j) for i in range(size) for j in range(i)]
    angles = sum((_angle(S, i, j) for i, j in pairs), start=jnp.zeros(S.shape[:-2]))
    return 0.5**size + angles * (0.5 ** max(size - 1, 0)) / jnp.pi


def _probability_four(S: Cov) -> Float[Array, "*batch"]:
    """Plackett's identity along the path that scales the off-diagonal by h = sin(pi v/2)."""
    v = (jnp.asarray(_NODES) + 1) / 2
    h, rate = jnp.sin(jnp.pi * v / 2), jnp.pi / 2 * jnp.cos(jnp.pi * v / 2)
    weight = jnp.asarray(_WEIGHTS) / 2 * rate
    off = S[..., None, :, :] * h[:, None, None]
    path = jnp.where(jnp.eye(4, dtype=bool), S[..., None, :, :], off)
    total = jnp.zeros(S.shape[:-2])
    for i in range(4):
        for j in range(i):
            two = conditioned(conditioned(path, i), j)  # j < i keeps its place
            volume = path[..., i, i] * path[..., j, j] - path[..., i, j] ** 2
            density = _safe_ratio(S[..., None, i, j], volume) / (2 * jnp.pi)
            total = total + jnp.sum(density * probability(two) * weight, axis=-1)
    return 1 / 16 + total


def first_moment(S: Cov, b: int) -> Float[Array, "*batch"]:
    """E[u_b 1(all positive)], by Stein's lemma."""
    parts = (
        _safe_ratio(S[..., b, i], S[..., i, i]) * probability(conditioned(S, i))
        for i in range(S.shape[-1])
    )
    return sum(parts, start=jnp.zeros(S.shape[:-2])) / jnp.sqrt(2 * jnp.pi)


def second_moment(S: Cov, a: int, b: int) -> Float[Array, "*batch"]:
    """E[u_a u_b 1(all positive)], by Stein's lemma."""
    total = S[..., a, b] * probability(S)
    for j in range(S.shape[-1]):
        if j != b:
            kept = b - (j < b)
            slope = _safe_ratio(S[..., a, j], S[..., j, j]) / jnp.sqrt(2 * jnp.pi)
            total = total + slope * first_moment(conditioned(S, j), kept)
    return total
