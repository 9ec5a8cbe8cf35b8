"""Small matrices in bulk: triangular factors and inverses, solving, square roots, logarithms.

XLA shares triangular solves out over its threads, which wait for each other: on a busy machine a
solve of 30 unknowns takes a hundred times longer than its arithmetic. The loops here are plain
vector operations, which no thread pool splits; they are meant for up to some 64 rows.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

_TINY = 1e-290
_VANISHED = 1e-14  # pivots below this count as 0
_UNROLLED = 8


def cholesky(matrix: Float[Array, "*batch n n"]) -> Float[Array, "*batch n n"]:
    """Lower Cholesky factor of a positive semi-definite matrix; a vanished pivot gives a 0 column.

    Column by column: `L_k = S_k / sqrt(S_kk)`, then `S <- S - L_k L_k^T`.
    """
    size = matrix.shape[-1]

    def column(k: Int[Array, ""] | int, S: Float[Array, "*batch n n"]) -> Float[Array, "*batch n"]:
        below = lax.dynamic_index_in_dim(S, k, S.ndim - 1, keepdims=False)
        pivot = lax.dynamic_index_in_dim(below, k, below.ndim - 1)
        good = pivot > _VANISHED
        scaled = jnp.where(good, below / jnp.sqrt(jnp.where(good, pivot, 1.0)), 0.0)
        return jnp.where(jnp.arange(size) >= k, scaled, 0.0)

    if size <= _UNROLLED:
        columns, rest = [], matrix
        for k in range(size):
            columns.append(column(k, rest))
            rest = rest - columns[k][..., :, None] * columns[k][..., None, :]
        return jnp.stack(columns, axis=-1)

    def step(k: Int[Array, ""], carry: tuple[Array, Array]) -> tuple[Array, Array]:
        factor, rest = carry
        new = column(k, rest)
        rest = rest - new[..., :, None] * new[..., None, :]
        return lax.dynamic_update_index_in_dim(factor, new, k, factor.ndim - 1), rest

    return lax.fori_loop(0, size, step, (jnp.zeros_like(matrix), matrix))[0]


def triangular_inverse(factor: Float[Array, "*batch n n"]) -> Float[Array, "*batch n n"]:
    """Inverse of a lower triangular matrix, row by row: `X_i = (e_i - L_i X) / L_ii`.

    Entries above the diagonal are taken as 0. Multiplying with the inverse replaces a solve where
    the matrix is well conditioned.
    """
    size = factor.shape[-1]
    unit = jnp.eye(size, dtype=factor.dtype)
    rows = jnp.tril(factor)

    def step(i: Int[Array, ""], inverse: Float[Array, "*batch n n"]) -> Array:
        row = lax.dynamic_index_in_dim(rows, i, rows.ndim - 2, keepdims=False)
        pivot = lax.dynamic_index_in_dim(row, i, row.ndim - 1)
        # Rows from i on are still 0, so that the sum is over earlier ones alone.
        known = jnp.einsum("...j,...jk->...k", row, inverse)
        return lax.dynamic_update_index_in_dim(
            inverse, (unit[i] - known) / pivot, i, inverse.ndim - 2
        )

    return lax.fori_loop(0, size, step, jnp.zeros_like(factor))


def solve(
    matrix: Float[Array, "*batch n n"], right: Float[Array, "*batch n m"]
) -> Float[Array, "*batch n m"]:
    """Solve general systems by Gauss-Jordan elimination with row pivoting."""
    size = matrix.shape[-1]
    place = jnp.arange(size)

    def step(k: Int[Array, ""], both: Float[Array, "*batch n nm"]) -> Float[Array, "*batch n nm"]:
        candidates = lax.dynamic_index_in_dim(both, k, both.ndim - 1, keepdims=False)
        best = jnp.argmax(jnp.where(place >= k, jnp.abs(candidates), -1.0), axis=-1)
        chosen = jnp.take_along_axis(both, best[..., None, None], axis=-2)
        current = lax.dynamic_index_in_dim(both, k, both.ndim - 2)
        # The current row takes the place of the chosen one, which is scaled to a unit pivot.
        moved = jnp.where((place == best[..., None])[..., None], current, both)
        pivot = lax.dynamic_index_in_dim(chosen, k, chosen.ndim - 1)
        scaled = chosen / pivot
        factors = lax.dynamic_index_in_dim(moved, k, moved.ndim - 1)
        others = (place != k)[:, None]
        return jnp.where(others, moved - factors * scaled, scaled)

    both = jnp.concatenate([matrix, right], axis=-1)
    return lax.fori_loop(0, size, step, both)[..., size:]


def solve_small(
    matrix: Float[Array, "... n n"], right: Float[Array, "... n m"]
) -> Float[Array, "... n m"]:
    """Solve positive definite systems of a few unknowns by elimination without pivoting."""
    stacked = (jnp.moveaxis(part, (-2, -1), (0, 1)) for part in (matrix, right))
    return jnp.moveaxis(solve_stacked(*stacked), (0, 1), (-2, -1))


def solve_stacked(
    matrix: Float[Array, "n n *batch"], right: Float[Array, "n m *batch"]
) -> Float[Array, "n m *batch"]:
    """`solve_small` for systems along the last axes, which vector operations run through fastest.

    Written out entry by entry, so that thousands of small systems cost a few vector operations
    instead of one library call each.
    """
    count = len(matrix)
    rows, sides = list(matrix), list(right)
    for i in range(count):
        for j in range(i + 1, count):
            factor = rows[j][i] / rows[i][i]
            rows[j] = rows[j] - factor * rows[i]
            sides[j] = sides[j] - factor * sides[i]
    solved: list[Array] = [sides[0]] * count
    for i in reversed(range(count)):
        rest = sides[i]
        for j in range(i + 1, count):
            rest = rest - rows[i][j] * solved[j]
        solved[i] = rest / rows[i][i]
    return jnp.stack(solved)


@jax.custom_jvp
def root(matrix: Float[Array, "... n n"]) -> Float[Array, "... n n"]:
    """Symmetric square root of a positive semi-definite matrix; negative rounding counts as 0."""
    if matrix.shape[-1] == 1:
        return jnp.sqrt(jnp.maximum(matrix, 0))
    values, vectors = jnp.linalg.eigh(matrix)
    return (vectors * jnp.sqrt(jnp.maximum(values, 0))[..., None, :]) @ vectors.mT


@root.defjvp
def _root_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    """S dS + dS S = dM in the eigenbasis; defined for equal eigenvalues too."""
    if primals[0].shape[-1] == 1:
        own = root(primals[0])
        return own, tangents[0] / jnp.maximum(2 * own, 1e-150)
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
