"""What training changes in a matrix: parts of an outer product, from the queries of a step."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from orderparam.engine.taps import Taps, adjoint, gathered
from orderparam.errors import InvalidProblem

Coefficients = Float[Array, " k"] | Float[Array, "j k"]
"""Weights c_jk of outer products y_j x_k^T; a vector stands for a diagonal matrix."""


class Query(NamedTuple):
    """An argument of a recent product and its coordinates in the recorded directions."""

    x: Float[Array, "k n"]
    a: Float[Array, "k direction"]


class Trained(NamedTuple):
    """What training changes: kappa, C (row direction, column direction, block), M_x and M_y."""

    decay: Float[Array, ""]
    core: Float[Array, "ry rx block"]
    column: Float[Array, "row m"]
    row: Float[Array, "row n"]


def gradient_of(
    coefficients: Coefficients, queries: tuple[Query | None, Query | None], taps: Taps
) -> Trained:
    """What `G = sum_jk c_jk y_j x_k^T / m` adds to each part of the trained matrix.

    Raises:
        InvalidProblem: If one of the two queries, of `rmv` and of `mv`, was not made.
    """
    of_rows, of_columns = queries
    if of_rows is None or of_columns is None:
        raise InvalidProblem(
            "update() needs one mv() and one rmv() since the last update(); call both first."
        )
    (y, b), (x, a) = of_rows, of_columns
    seen = gathered(a[:, :, None], taps)
    right = weighted(coefficients, seen.reshape(a.shape[0], -1))
    # A block that looks at position p from position q gives x_p the coefficients of q.
    left = gathered(weighted(coefficients.T, b)[:, :, None], adjoint(taps))
    return Trained(
        decay=jnp.zeros(()),
        core=jnp.einsum("jy,jib->yib", b, right.reshape(-1, *seen.shape[1:])),
        column=left.reshape(x.shape[0], -1).T @ x,
        row=right.T @ y,
    )


def weighted(coefficients: Coefficients, x: Float[Array, "k n"]) -> Float[Array, "j n"]:
    """Combinations of the rows of `x`, coefficient vectors standing for diagonal matrices."""
    return coefficients @ x if coefficients.ndim == 2 else coefficients[:, None] * x
