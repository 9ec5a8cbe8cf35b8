"""How a history learns the new directions of a block of vectors."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from orderparam.engine.history import History
from orderparam.engine.space import Addition, KnownSpace
from orderparam.numerics.linear import cholesky, triangular_inverse

Opened = tuple[Addition, Array, Addition, Array, Array]


class Recorded(eqx.Module):
    """A history and its spaces after a block of vectors x was recorded.

    Attributes:
        q: Coordinates of x in its own space.
        a: Coordinates of x in the history's basis.
    """

    history: History
    own: KnownSpace
    other: KnownSpace
    q: Float[Array, "k own"]
    a: Float[Array, "k r"]


def record(
    history: History,
    own: KnownSpace,
    other: KnownSpace,
    x: Float[Array, "k n"],
    tolerance: Float[Array, ""],
    shared: bool = False,
) -> Recorded:
    """Add to the history the directions of `x` that it does not contain.

    The residual covariance of the block is diagonalised; directions whose eigenvalue exceeds
    `tolerance` times the trace of the block's covariance are appended, each with fresh normals.
    Where the space looks at a few principal directions of a large block at a time, this repeats
    until a search finds none, as an incomplete search may miss some. `shared` says that both sides
    are one space, whose normals must then be orthogonal to the new directions as well.
    """
    q = own.coordinates(x)
    start = Recorded(history, own, other, q, q @ history.basis.T)
    if own.directions(x.shape[0], history.blocks) == x.shape[0]:
        done = _extended(start, x, tolerance, shared)[0]
    else:
        more = (start, jnp.asarray(np.asarray(True)))
        done = lax.while_loop(
            lambda carry: carry[1], lambda carry: _extended(carry[0], x, tolerance, shared), more
        )[0]
    total = own.trace(x)
    part = jnp.where(total > 0, 1 - jnp.sum(done.a**2) / jnp.where(total > 0, total, 1.0), 0.0)
    missing = jnp.maximum(done.history.missing, part)
    return eqx.tree_at(lambda s: s.history.missing, done, missing)


def _extended(
    given: Recorded, x: Float[Array, "k n"], tolerance: Float[Array, ""], shared: bool
) -> tuple[Recorded, Bool[Array, ""]]:
    """Append the principal directions of what remains, and whether there was anything."""
    history, own, other, q, a = given.history, given.own, given.other, given.q, given.a
    wanted = own.directions(x.shape[0], history.blocks)
    values, vectors = own.residual(x, q, a, history.basis, wanted)
    total = own.trace(x)
    count = jnp.sum(values > tolerance * total)
    # Eigenvalues come largest first, so the first one left out is the largest left out.
    rest = jnp.append(values, 0.0)[count] / jnp.where(total > 0, total, 1.0)
    history = eqx.tree_at(lambda s: s.dropped, history, jnp.maximum(history.dropped, rest))

    # Once the rank has saturated most steps open no direction: not doing it is what makes them
    # cheap. Only new rows are returned, because a branch would copy whole histories.
    part = _Block(history, own, other, x, q, a, values, vectors, count)
    more, c, normals, q, a = _open_if_any(part, shared)
    own = own.add(more)
    other = own if shared else other
    history = history.write(c, other.size, count)
    other = other.add(normals)
    again = (count > 0) & ~history.overflow & ~own.overflow & ~other.overflow
    return Recorded(history, other if shared else own, other, q, a), again


class _Block(eqx.Module):
    """A block of vectors on its way into a history; fields as in `record`."""

    history: History
    own: KnownSpace
    other: KnownSpace
    x: Float[Array, "k n"]
    q: Float[Array, "k own"]
    a: Float[Array, "k r"]
    values: Float[Array, " m"]
    vectors: Float[Array, "k m"]
    count: Int[Array, ""]

    @eqx.filter_jit
    def opened(self, shared: bool) -> Opened:
        """New basis vectors, directions and normals, and the coordinates with them."""
        m, history, own = self.values.shape[0], self.history, self.own
        keep = jnp.arange(m) < self.count
        scale = jnp.where(keep, 1 / jnp.sqrt(jnp.where(keep, self.values, 1.0)), 0.0)
        turned = (self.vectors * scale) @ _canonical_rotation(self.vectors, keep)
        new = turned.T @ self.x - own.combine((turned.T @ self.a) @ history.basis)
        more, c = own.extension(new)
        c = _orthonormal(c, history.basis, keep)
        q = self.q + own.along(self.x, more)
        a = lax.dynamic_update_slice(self.a, q @ c.T, (0, history.rank))
        drawing = own.add(more) if shared else self.other
        drawn = drawing.fresh(m * history.blocks, self.count * history.blocks)
        return more, c, drawn, q, a

    def unchanged(self, shared: bool) -> Opened:
        """The same with nothing new."""
        shapes = jax.eval_shape(lambda: self.opened(shared))
        zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes[:3])
        return *zeros, self.q, self.a


def _open_if_any(block: _Block, shared: bool) -> Opened:
    """Open directions where there are any; a batch of blocks opens them where any block has some.

    Mapped over a batch a plain branch would become a selection that computes both sides for ever.
    """

    @jax.custom_batching.custom_vmap
    def opened(block: _Block) -> Opened:
        return lax.cond(
            block.count > 0, lambda: block.opened(shared), lambda: block.unchanged(shared)
        )

    @opened.def_vmap
    def _(size: int, batched: list[Any], block: _Block) -> tuple[Opened, Any]:
        def spread(x: Array, is_batched: bool) -> Array:
            return x if is_batched else jnp.broadcast_to(x, (size, *x.shape))

        block = jax.tree.map(spread, block, batched[0])
        new = lax.cond(
            jnp.any(block.count > 0),
            lambda: jax.vmap(lambda b: b.opened(shared))(block),
            lambda: jax.vmap(lambda b: b.unchanged(shared))(block),
        )
        return new, jax.tree.map(lambda _: True, new)

    return opened(block)


def _canonical_rotation(
    vectors: Float[Array, "k m"], keep: Bool[Array, " m"]
) -> Float[Array, "m m"]:
    """Rotate the kept eigenvectors to a basis that depends on their span alone.

    Eigenvectors are arbitrary up to sign, and up to rotations when eigenvalues coincide; rounding
    on another device would choose others, and pair other normals with them.
    """
    k, m = vectors.shape
    fixed = np.random.default_rng(0).standard_normal((k, m))
    inside = keep[:, None] & keep
    q, r = jnp.linalg.qr(jnp.where(inside, vectors.T @ fixed, jnp.eye(m)))
    return jnp.where(inside, q * jnp.sign(jnp.diagonal(r)), 0.0)


def _orthonormal(
    c: Float[Array, "k own"], basis: Float[Array, "r own"], keep: Bool[Array, " k"]
) -> Float[Array, "k own"]:
    """Orthonormalise the kept rows of `c` against `basis` and each other."""

    def step(_: Any, c: Float[Array, "k own"]) -> Float[Array, "k own"]:
        c = c - (c @ basis.T) @ basis
        gram = jnp.where(keep[:, None] & keep, c @ c.T, jnp.eye(c.shape[0]))
        return triangular_inverse(cholesky(gram)) @ c

    # Twice, as rounding in the first pass leaves a remainder along `basis`.
    rows: Array = lax.fori_loop(0, 2, step, c)
    return jnp.where(keep[:, None], rows, 0.0)
