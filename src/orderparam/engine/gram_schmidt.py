"""How a matrix learns directions one after the other, by a rule that can be differentiated.

The residual of each vector of a block, after projection on the recorded directions and on those
that earlier vectors of the block just opened, becomes a direction where its squared norm exceeds
`tolerance` times that of the vector. Its image is the next seed of the other side, less what that
seed has along the directions recorded there:

    image(e) = zeta - sum_m Y_m <Y_m, zeta>

With independent seeds, uniform weights and tolerance 0 this is the law of an actual Gaussian
matrix of that size, exactly. The last term vanishes for infinitely many particles, but its
derivative does not: it carries part of the covariance at order 1/N. Which directions are opened is
decided by comparison, which no derivative sees; nothing is diagonalised, so that derivatives stay
finite however close two residuals are.

Source: Bordelon & Pehlevan 2023; docs/theory/fluctuations.md, Deep networks.
"""

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from orderparam.engine.seeded import SeededSpace
from orderparam.engine.side import Known, Parts


def record_in_order(
    known: Known, x: Float[Array, "k n"], tolerance: Float[Array, ""]
) -> tuple[Known, Parts]:
    """Open directions where the vectors of a block need them.

    Returns:
        The matrix, and the inner products of `x` with the vectors of its own side.
    """
    own, space = known.own, known.spaces[0]
    p = own.products(x, space)
    rest = x - p.direction @ own.direction
    rest = rest - space.inner(rest, own.direction) @ own.direction
    norms = jnp.einsum("kk->k", space.inner(x, x))
    left = jnp.einsum("kk->k", space.inner(rest, rest))
    # Where no vector alone is outside, none is outside the earlier ones too.
    asked = jnp.any(left > tolerance * norms)

    def learn(known: Known) -> tuple[Known, Parts]:
        learned = _learned(known, rest, tolerance * norms)
        return learned, learned.own.products(x, space)

    return lax.cond(asked, learn, lambda known: (known, p), known)


def _learned(known: Known, rest: Float[Array, "k n"], least: Float[Array, " k"]) -> Known:
    """The matrix with new directions, their images drawn."""
    own, other, spaces = known
    rows, opened = _in_order(rest, least, spaces[0])
    count = jnp.sum(opened)
    rows = rows[jnp.argsort(~opened, stable=True)]
    space, images = spaces[-1], count * own.blocks
    drawn = space.seeds(rows.shape[0] * own.blocks)
    drawn = outside(drawn, other.direction, space)
    drawn = jnp.where((jnp.arange(len(drawn)) < images)[:, None], drawn, 0.0)
    other = other.with_images(drawn, own.rank * own.blocks, images)
    own = own.with_directions(rows, own.rank, count)
    rank = own.rank + count
    own = eqx.tree_at(
        lambda s: (s.rank, s.overflow), own, (rank, own.overflow | (rank > own.capacity))
    )
    return Known(own, other, (*spaces[:-1], space.told(images)))


def outside(
    drawn: Float[Array, "k n"], directions: Float[Array, "r n"], space: SeededSpace
) -> Float[Array, "k n"]:
    """What is left of seeds outside the directions that the matrix knows already."""
    return drawn - space.inner(drawn, directions) @ directions


def _in_order(
    rest: Float[Array, "k n"], least: Float[Array, " k"], space: SeededSpace
) -> tuple[Float[Array, "k n"], Bool[Array, " k"]]:
    """Gram-Schmidt: each row less its part along earlier ones, of norm 1, or zero if too small."""

    def one(rows: Float[Array, "k n"], given: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        index, x, small = given
        for _ in range(2):  # the second time makes it orthogonal to rounding
            x = x - space.inner(x[None], rows)[0] @ rows
        square = space.inner(x[None], x[None])[0, 0]
        opened = square > small
        unit = jnp.where(opened, x / jnp.sqrt(jnp.where(opened, square, 1.0)), 0.0)
        return rows.at[index].set(unit), opened

    index = jnp.arange(rest.shape[0])
    return lax.scan(one, jnp.zeros_like(rest), (index, rest, least))
