"""How a matrix learns the directions of a block of vectors that it is applied to.

What a block has outside the recorded directions is its residual. Residual directions whose squared
norm exceeds `tolerance` times that of the block are *opened*: recorded for good, with fresh normals
as images. The leading ones of the rest go into *slots*, which hold the residuals of the last
refresh with their images. A residual keeps its image from step to step as far as it stays inside
the slots, so that norms and correlations of what is not recorded are right; only the long memory
of small residuals is lost. Slots are refreshed once residuals have left them by `REFRESH` times the
tolerance: refreshes follow the path of the vectors, not the number of steps.

Images of new directions N, given slots E with images I and B = <N, E>:

    image(N) = B I + (1 - B B^T)^(1/2) xi,      xi fresh unit normals

Source: docs/theory/engine.md, Slots.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from orderparam.engine.side import Known, Parts, Side
from orderparam.engine.space import SearchedSpace

REFRESH = 0.1
"""Growth of what is outside the slots, in units of the tolerance, at which they are refreshed."""

NEGLIGIBLE = 1e-9
"""Squared norm of a residual direction, relative to its block, that needs no slot."""


class Directions(NamedTuple):
    """Orthonormal residual directions: the first `opened` to be recorded, `held` more for slots."""

    rows: Float[Array, "w n"]
    opened: Int[Array, ""]
    held: Int[Array, ""]


def record(
    known: Known, x: Float[Array, "k n"], tolerance: Float[Array, ""]
) -> tuple[Known, Parts]:
    """Open directions and refresh slots where `x` asks for it.

    Returns:
        The matrix, and the inner products of `x` with the vectors of its own side.

    A loop of at most one round for a small block. Where the space looks at a few directions of a
    large one at a time it goes on until it finds none. (A branch would copy both sides; a loop
    that does not run costs nothing.)
    """
    space = known.spaces[0]
    p = known.own.products(x, space)
    rest, asked = _asks(known.own, space, x, p, tolerance)
    own = eqx.tree_at(lambda s: s.left, known.own, jnp.minimum(known.own.left, rest))

    def learn(carry: tuple[Known, Parts, Array]) -> tuple[Known, Parts, Array]:
        known, p, _ = carry
        known, again = learned(known, x, p, tolerance)
        return known, known.own.products(x, known.spaces[0]), again

    start = (Known(own, known.other, known.spaces), p, asked)
    known, p, _ = lax.while_loop(lambda carry: carry[2], learn, start)
    missing = jnp.where(asked, known.own.left, rest)
    own = eqx.tree_at(lambda s: s.missing, known.own, jnp.maximum(known.own.missing, missing))
    return Known(own, known.other, known.spaces), p


def _asks(
    own: Side, space: SearchedSpace, x: Array, p: Parts, tolerance: Array
) -> tuple[Float[Array, ""], Bool[Array, ""]]:
    """What is outside directions and slots, relative to the block, and whether to learn it."""
    total = space.trace(x)
    outside = space.remainder(x, p.direction, own.direction) - jnp.sum(p.slot**2)
    rest = jnp.where(total > 0, outside / jnp.where(total > 0, total, 1.0), 0.0)
    asked = rest > own.left + REFRESH * tolerance
    if own.slots:
        # A direction inside the slots may have outgrown the tolerance: the largest eigenvalue of
        # their Gram matrix, by the 16th root of the trace of its 16th power.
        power = p.slot.T @ p.slot / jnp.where(total > 0, total * tolerance, 1.0)
        for _ in range(3):
            power = power @ power
        asked = asked | (jnp.sum(power**2) > 1)
    return rest, asked


def learned(
    known: Known, x: Float[Array, "k n"], p: Parts, tolerance: Float[Array, ""]
) -> tuple[Known, Bool[Array, ""]]:
    """Open directions, refresh the slots, and whether there may be more to open."""
    own, other, spaces = known
    found, left_out, again = _residual_directions(own, spaces[0], x, p, tolerance)
    k, blocks = found.rows.shape[0], own.blocks
    index = jnp.arange(k)
    new = jnp.where((index < found.opened)[:, None], found.rows, 0.0)
    spaces = (spaces[0].extended(new, found.opened), *spaces[1:])
    count = (found.opened + found.held) * blocks
    space, drawn = spaces[-1].fresh(k * blocks, count, other.held)
    image = drawn
    if own.slots:
        image = _continued(found.rows, own, other, spaces[0], drawn)
    opened = found.opened * blocks
    kept = jnp.where((jnp.arange(k * blocks) < opened)[:, None], image, 0.0)
    spaces = (*spaces[:-1], space.extended(kept, opened))
    other = other.with_images(image, own.rank * blocks, opened)
    if own.slots:
        held = jnp.pad(image, ((0, own.slots * blocks), (0, 0)))
        other = other.with_slot_images(lax.dynamic_slice_in_dim(held, opened, own.slots * blocks))
        held = jnp.pad(found.rows, ((0, own.slots), (0, 0)))
        own = own.with_slots(lax.dynamic_slice_in_dim(held, found.opened, own.slots))
    own = own.with_directions(found.rows, own.rank, found.opened)
    full = own.rank + found.opened > own.capacity
    values = (own.rank + found.opened, left_out, own.overflow | full)
    own = eqx.tree_at(lambda s: (s.rank, s.left, s.overflow), own, values)
    for space in spaces:
        full = full | space.overflow
    return Known(own, other, spaces), again & (found.opened > 0) & ~full


def _residual_directions(
    own: Side, space: SearchedSpace, x: Array, p: Parts, tolerance: Array
) -> tuple[Directions, Float[Array, ""], Bool[Array, ""]]:
    """Principal directions of what the history lacks, and what remains outside all of them.

    The last value says whether directions were left unsearched.
    """
    k, total = x.shape[0], space.trace(x)
    few = space.directions(k, own.blocks)
    count = min(k, few + own.slots)
    rest = x - p.direction @ own.direction
    rest = rest - space.inner(rest, own.direction) @ own.direction
    values, vectors = space.principal(rest, count)
    # What made `_asks` speak up may have an eigenvalue that much smaller.
    margin = own.slots ** (-1 / 16) if own.slots else 1.0
    opened = jnp.sum(values[:few] > margin * tolerance * total)
    index = jnp.arange(count)
    slot = (index >= opened) & (index < opened + own.slots) & (values > NEGLIGIBLE * total)
    group = jnp.where(index < opened, 0, jnp.where(slot, 1, 2))
    used = group < 2
    scale = jnp.where(used, 1 / jnp.sqrt(jnp.where(used, values, 1.0)), 0.0)
    rows = ((vectors * scale) @ _canonical_rotation(vectors, group)).T @ rest
    rows = _orthonormal(rows - space.inner(rows, own.direction) @ own.direction, space, used)
    # All of a small block was looked at, so that nothing has to be subtracted.
    left = jnp.sum(jnp.where(used, 0.0, values))
    if count < k:
        left = jnp.maximum(space.trace(rest) - jnp.sum(jnp.where(used, values, 0.0)), 0.0)
    left = left / jnp.where(total > 0, total, 1.0)
    return Directions(rows, opened, jnp.sum(slot)), left, jnp.asarray(few < k)


def _continued(
    rows: Float[Array, "w n"], own: Side, other: Side, space: SearchedSpace, drawn: Array
) -> Float[Array, "image n"]:
    """Images of directions that were partly in the slots, and of their new parts `drawn`."""
    inside = space.inner(rows, own.slot)
    values, vectors = jnp.linalg.eigh(
        jnp.eye(rows.shape[0]) - inside @ inside.T, symmetrize_input=False
    )
    root = (vectors * jnp.sqrt(jnp.maximum(values, 0.0))) @ vectors.T
    fresh = root @ drawn.reshape(rows.shape[0], -1)
    known = inside @ other.slot_image.reshape(own.slots, -1)
    return (known + fresh).reshape(drawn.shape)


def _canonical_rotation(
    vectors: Float[Array, "k w"], group: Int[Array, " w"]
) -> Float[Array, "w w"]:
    """Rotate the eigenvectors of a group to a basis that depends on their span alone.

    Eigenvectors are arbitrary up to sign, and up to rotations when eigenvalues coincide; rounding
    on another device would choose others, and pair other normals with them.
    """
    k, w = vectors.shape
    fixed = np.random.default_rng(0).standard_normal((k, w))
    inside = (group[:, None] == group) & (group < 2)
    q, r = jnp.linalg.qr(jnp.where(inside, vectors.T @ fixed, jnp.eye(w)))
    return jnp.where(inside, q * jnp.sign(jnp.diagonal(r)), 0.0)


def _orthonormal(
    rows: Float[Array, "w n"], space: SearchedSpace, used: Bool[Array, " w"]
) -> Float[Array, "w n"]:
    """The nearest orthonormal rows to those in use, which are nearly so; zero for the others."""
    gram = jnp.where(used[:, None] & used, space.inner(rows, rows), jnp.eye(rows.shape[0]))
    values, vectors = jnp.linalg.eigh(gram, symmetrize_input=False)
    rows = ((vectors / jnp.sqrt(values)) @ vectors.T) @ rows
    return jnp.where(used[:, None], rows, 0.0)
