"""Gaussian integrals of s(u) = max(0, u).

Source: docs/theory/online.md, General activations; Cho & Saul (2009) for the pair averages.
"""

from collections.abc import Iterable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from orderparam.online.theory.orthant import second_moment

Gram = Float[Array, "unit unit"]
Index = Int[np.ndarray, "..."]


def _alive(C: Gram, *indices: Index) -> Bool[Array, "..."]:
    """Whether all of these units have a norm; one without has the derivative s'(0) = 0."""
    alive: Any = True
    for i in indices:
        alive = alive & (C[i, i] > 0)
    return alive


def _norm(C: Gram, i: Index) -> Float[Array, "..."]:
    """C_ii, and 1 for a unit at zero, whose averages are set to 0."""
    return jnp.where(C[i, i] > 0, C[i, i], 1.0)


def _correlation(C: Gram, i: Index, j: Index) -> Float[Array, "..."]:
    return jnp.clip(C[i, j] / jnp.sqrt(_norm(C, i) * _norm(C, j)), -1.0, 1.0)


def two(C: Gram, i: Index, j: Index) -> Float[Array, "..."]:
    """E[s(u_i) s(u_j)]."""
    rho = _correlation(C, i, j)
    angle = jnp.sqrt(1 - rho**2) + rho * (jnp.pi - jnp.arccos(rho))
    return jnp.sqrt(C[i, i] * C[j, j]) / (2 * jnp.pi) * angle


def slopes(C: Gram, i: Index, j: Index) -> Float[Array, "..."]:
    """E[s'(u_i) s'(u_j)]."""
    both = 0.25 + jnp.arcsin(_correlation(C, i, j)) / (2 * jnp.pi)
    return jnp.where(_alive(C, i, j), both, 0.0)


def curvature(C: Gram, i: Index, k: Index) -> Float[Array, "..."]:
    """E[s''(u_i) s(u_k)], where s'' is the delta function."""
    spread = jnp.sqrt(jnp.maximum(C[i, i] * C[k, k] - C[i, k] ** 2, 0.0))
    return spread / _norm(C, i) / (2 * jnp.pi)


def four(C: Gram, i: Index, j: Index, k: Index, l: Index) -> Float[Array, "..."]:  # noqa: E741
    """E[s'(u_i) s'(u_j) s(u_k) s(u_l)] = E[u_k u_l 1(all distinct ones positive)].

    The value depends on {i, j} and {k, l} alone; each pair of sets is computed once, together with
    all others that have as many distinct indices.
    """
    shape = np.broadcast_shapes(i.shape, j.shape, k.shape, l.shape)
    slots = np.stack([np.broadcast_to(part, shape).ravel() for part in (i, j, k, l)], axis=1)
    slots = np.concatenate([np.sort(slots[:, :2], 1), np.sort(slots[:, 2:], 1)], axis=1)
    unique, back = np.unique(slots, axis=0, return_inverse=True)
    order = [tuple(dict.fromkeys((row[2], row[3], row[0], row[1]))) for row in unique.tolist()]
    kinds = [(len(rest), int(row[2] != row[3])) for rest, row in zip(order, unique, strict=True)]
    values = jnp.zeros(len(unique))
    for size, second in sorted(set(kinds)):
        members = [n for n, kind in enumerate(kinds) if kind == (size, second)]
        values = values.at[np.array(members)].set(_group(C, (order[n] for n in members), second))
    return values[back.ravel()].reshape(shape)


def _group(C: Gram, members: Iterable[tuple[int, ...]], second: int) -> Float[Array, " member"]:
    """Second moments of components 0 and `second` of each chosen set of units."""
    rows = np.array(list(members))
    eye = jnp.eye(len(C))
    dead = ~_alive(C, np.arange(len(C)))
    safe = jnp.where(dead[:, None] | dead, eye, C)
    values = second_moment(safe[rows[:, :, None], rows[:, None, :]], 0, second)
    return jnp.where(dead[rows].any(axis=1), 0.0, values)


RELU = (two, curvature, four, slopes)
"""The integrals in the order of `committee.Integrals`."""
