"""Gaussian integrals of s(u) = erf(u/sqrt 2), all in closed form.

Source: Saad & Solla (1995); docs/theory/online.md, General activations.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

Gram = Float[Array, "unit unit"]
Index = Int[np.ndarray, "..."]


def two(C: Gram, i: Index, j: Index) -> Float[Array, "..."]:
    """E[s(u_i) s(u_j)]."""
    root = jnp.sqrt((1 + C[i, i]) * (1 + C[j, j]))
    return 2 / jnp.pi * jnp.arcsin(C[i, j] / root)


def slopes(C: Gram, i: Index, j: Index) -> Float[Array, "..."]:
    """E[s'(u_i) s'(u_j)]."""
    return 2 / jnp.pi / jnp.sqrt((1 + C[i, i]) * (1 + C[j, j]) - C[i, j] ** 2)


def curvature(C: Gram, i: Index, k: Index) -> Float[Array, "..."]:
    """E[s''(u_i) s(u_k)]."""
    return -slopes(C, i, k) * C[i, k] / (1 + C[i, i])


def four(C: Gram, i: Index, j: Index, k: Index, l: Index) -> Float[Array, "..."]:  # noqa: E741
    """E[s'(u_i) s'(u_j) s(u_k) s(u_l)]."""
    a, b, c = 1 + C[i, i], 1 + C[j, j], C[i, j]
    volume = a * b - c**2

    def minor(k: Index, l: Index, diagonal: Float[Array, "..."]) -> Float[Array, "..."]:  # noqa: E741
        cross = C[j, k] * C[j, l] * a + C[i, k] * C[i, l] * b
        return volume * diagonal - cross + c * (C[i, k] * C[j, l] + C[i, l] * C[j, k])

    root = jnp.sqrt(minor(k, k, 1 + C[k, k]) * minor(l, l, 1 + C[l, l]))
    return 4 / jnp.pi**2 / jnp.sqrt(volume) * jnp.arcsin(minor(k, l, C[k, l]) / root)


ERF = (two, curvature, four, slopes)
"""The integrals in the order of `committee.Integrals`."""
