"""Small symmetric matrices in bulk: solving, square roots and logarithms."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_TINY = 1e-290


def solve_small(
    matrix: Float[Array, "... n n"], right: Float[Array, "... n m"]
) -> Float[Array, "... n m"]:
    """Solve positive definite systems by elimination without pivoting.

    Written out entry by entry, so that thousands of small systems cost a few vector operations
    instead of one library call each.
    """
    count = matrix.shape[-1]
    rows = [matrix[..., i, :] for i in range(count)]
    sides = [right[..., i, :] for i in range(count)]
    for i in range(count):
        for j in range(i + 1, count):
            factor = (rows[j][..., i] / rows[i][..., i])[..., None]
            rows[j] = rows[j] - factor * rows[i]
            sides[j] = sides[j] - factor * sides[i]
    solved: list[Array] = [sides[0]] * count
    for i in reversed(range(count)):
        rest = sides[i]
        for j in range(i + 1, count):
            rest = rest - rows[i][..., j, None] * solved[j]
        solved[i] = rest / rows[i][..., i, None]
    return jnp.stack(solved, axis=-2)


@jax.custom_jvp
def root(matrix: Float[Array, "... n n"]) -> Float[Array, "... n n"]:
    """Symmetric square root of a positive semi-definite matrix; negative rounding counts as 0."""
    values, vectors = jnp.linalg.eigh(matrix)
    return (vectors * jnp.sqrt(jnp.maximum(values, 0))[..., None, :]) @ vectors.mT


@root.defjvp
def _root_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    """S dS + dS S = dM in the eigenbasis; defined for equal eigenvalues too."""
    values, vectors = jnp.linalg.eigh(primals[0])
    roots = jnp.sqrt(jnp.maximum(values, 0))
    total = jnp.maximum(roots[..., :, None] + roots[..., None, :], 1e-150)
    change = vectors @ (vectors.mT @ tangents[0] @ vectors / total) @ vectors.mT
    return (vectors * roots[..., None, :]) @ vectors.mT, change


def logarithm(matrix: Float[Array, "... n n"]) -> Float[Array, "... n n"]:
    """Matrix logarithm; eigenvalues below 1e-14 of the largest are raised to that."""
    if matrix.shape[-1] == 1:
        return jnp.log(jnp.maximum(matrix, _TINY))
    values, vectors = jnp.linalg.eigh(matrix)
    floor = jnp.maximum(1e-14 * values[..., -1:], _TINY)
    return (vectors * jnp.log(jnp.maximum(values, floor))[..., None, :]) @ vectors.mT


def exponential(matrix: Float[Array, "... n n"]) -> Float[Array, "... n n"]:
    """Matrix exponential of a symmetric matrix."""
    if matrix.shape[-1] == 1:
        return jnp.exp(matrix)
    values, vectors = jnp.linalg.eigh(matrix)
    return (vectors * jnp.exp(values)[..., None, :]) @ vectors.mT
