"""Averages of an activation at single pairs of Gaussians, integrated in polar coordinates.

For pairs that Mehler's formula (`pairs`) does not reach. The nodes gather doubly exponentially
where u or v vanish: there a wide activation has its step, and a homogeneous one its kink.
"""

import math
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from orderparam.numerics.activations import Activation, values_and_slopes

ACCURATE = 1e-7
"""Error, relative to the size of both variables, above which a pair is integrated by itself."""

MOST = 20_000
"""Pairs that are integrated by themselves, the worst first; the others keep their bound."""

LEVELS = (32, 64, 128)
"""Nodes of a radius and of each part of the angles, tried in turn."""

SETTLED = 1e-4
"""Relative difference between two levels that ends the trials; where phi is smooth a level squares
the error of the one before, so that it is some 1e-8 then."""

_CHUNK = 64
Matrix = Float[np.ndarray, "row row"]
Vector = Float[np.ndarray, " row"]


def integrate_hard_pairs(
    activation: Activation, scale: Vector, angle: Matrix, left: Matrix, found: list[Matrix]
) -> float:
    """Replace the averages of hard pairs by integrals; returns the largest relative error then."""
    i, j = np.nonzero(np.triu(left > ACCURATE, 1))
    if not len(i):
        return float(left.max())
    worst = np.argsort(-left[i, j], kind="stable")
    given_up = float(left[i, j][worst[MOST:]].max(initial=0.0))
    i, j = i[worst[:MOST]], j[worst[:MOST]]
    sizes = [np.sqrt(np.diagonal(m)[i] * np.diagonal(m)[j]) for m in found]
    done, error = np.zeros((2, len(i))), np.full(len(i), np.inf)
    unsettled, before = np.arange(len(i)), None
    for level in LEVELS:
        at = unsettled
        now = _polar(activation, scale[i[at]], scale[j[at]], angle[i[at], j[at]], level)
        done[:, at] = now
        if before is not None:
            moved = [relative(np.abs(now[n] - before[n]), sizes[n][at]) for n in range(2)]
            error[at] = np.maximum(*moved)
        still = error[at] > SETTLED
        unsettled, before = at[still], now[:, still]
        if not len(unsettled):
            break
    for matrix, values in zip(found, done, strict=True):
        matrix[i, j] = matrix[j, i] = values
    return max(given_up, float(error.max()))


def relative(difference: Vector, size: Vector) -> Vector:
    """The quotient, 0 where the size is."""
    return np.where(size > 0, difference / np.where(size > 0, size, 1.0), 0.0)


def _polar(
    activation: Activation, su: Vector, sv: Vector, angle: Vector, level: int
) -> Float[np.ndarray, "two pair"]:
    """Both averages of some pairs, a fixed number of pairs at a time."""
    count = len(su)
    # Powers of two, so that few shapes are compiled.
    room = _CHUNK * 2 ** max(0, math.ceil(math.log2(count / _CHUNK)))
    padded = [np.resize(a, room) for a in (su, sv, angle)]
    rows = jnp.asarray(np.stack(padded, axis=1).reshape(-1, _CHUNK, 3))
    parts = _polar_chunks(activation, rows, _radii(level), _quarter(level))
    return np.asarray(parts).reshape(-1, 2)[:count].T


@partial(jax.jit, static_argnums=0)
def _polar_chunks(
    activation: Activation,
    rows: Float[Array, "chunk pair 3"],
    radii: tuple[Array, Array],
    quarter: tuple[Array, Array, Array],
) -> Float[Array, "chunk pair 2"]:
    """With u = s_u r cos(t) and v = s_v r cos(t - t_0), parts end where u or v vanish."""
    (r, wr), (x, rest, wx) = radii, quarter

    signs = jnp.array([[1, -1, -1, 1], [1, -1, 1, -1]])[:, :, None, None]

    def pair(row: Array) -> Array:
        su, sv, angle = row
        length = jnp.stack([jnp.pi - angle, jnp.pi - angle, angle, angle])
        reach = length[:, None, None]
        u = signs[0] * su * r[:, None] * jnp.sin(reach * rest)
        v = signs[1] * sv * r[:, None] * jnp.sin(reach * x)
        both = zip(values_and_slopes(activation, u), values_and_slopes(activation, v), strict=True)
        return jnp.stack([length @ (wr @ (a * b) @ wx) for a, b in both]) / (2 * jnp.pi)

    return lax.map(jax.vmap(pair), rows)


@lru_cache(maxsize=4)
def _radii(count: int) -> tuple[Vector, Vector]:
    """Nodes of a radius r > 0 and weights of the law r exp(-r^2/2), gathered towards 0."""
    t = np.linspace(-2.4, 2.3, count)
    r = np.exp(t - np.exp(-t))
    return r, (t[1] - t[0]) * (1 + np.exp(-t)) * r**2 * np.exp(-(r**2) / 2)


@lru_cache(maxsize=4)
def _quarter(count: int) -> tuple[Vector, Vector, Vector]:
    """Nodes x of [0, 1] gathered towards both ends, 1 - x without cancellation, and weights."""
    t = np.linspace(-3.2, 3.2, count)
    bent = np.pi * np.sinh(t)
    x, rest = 1 / (1 + np.exp(-bent)), 1 / (1 + np.exp(bent))
    return x, rest, (t[1] - t[0]) * np.pi * np.cosh(t) * x * rest
