"""Cholesky factors of Gram matrices that may be singular."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def cholesky(S: Float[Array, "*batch unit unit"]) -> Float[Array, "*batch unit unit"]:
    """Cholesky factor of a positive semidefinite matrix; a vanished pivot gives a zero column."""
    columns, units = [], S.shape[-1]
    for k in range(units):
        pivot = S[..., k, k, None]
        good = pivot > 1e-14
        column = jnp.where(good, S[..., k] / jnp.sqrt(jnp.where(good, pivot, 1.0)), 0.0)
        column = jnp.where(jnp.arange(units) >= k, column, 0.0)
        columns.append(column)
        S = S - column[..., :, None] * column[..., None, :]
    return jnp.stack(columns, axis=-1)
