"""A space of sampled points: the single-site law by quasi-Monte Carlo."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from orderparam.engine.normals import BLOCK, draw_normals
from orderparam.engine.space import Addition, KnownSpace
from orderparam.numerics.linear import cholesky, triangular_inverse

NEGLIGIBLE = 1e-12
"""Squared norm below which a unit vector counts as already contained in the basis."""

LARGE = 128
"""Blocks of vectors with more images than this are searched for `FEW` new directions at a time."""

FEW = 16
"""New directions that a large block opens at a time."""


@jax.custom_batching.custom_vmap
def largest(count: Int[Array, ""]) -> Int[Array, ""]:
    """A count; mapped over a batch the largest of it, which all of them then share.

    A loop of a common length reads the same slices in every member, where loops of different
    lengths would gather single elements.
    """
    return count


@largest.def_vmap
def _(size: int, batched: list[bool], count: Int[Array, " batch"]) -> tuple[Array, bool]:
    del size, batched
    return jnp.max(count), False


def _mask(k: int, count: Int[Array, ""]) -> Bool[Array, " k"]:
    return jnp.arange(k) < count


class SampledSpace(KnownSpace):
    """A space represented by `S` points of the single-site law (Monte-Carlo error ~ S^-1/2).

    Normals are scrambled Sobol coordinates in order of appearance. Each new block is whitened: its
    empirical mean is 0, its covariance the identity, and it is orthogonal to everything known.

    Cost: `coordinates` and `combine` take O(k S size) time; memory is O(S capacity).
    """

    basis: Float[Array, "capacity S"]
    pool: Float[Array, "normals S"]
    size: Int[Array, ""]
    drawn: Int[Array, ""]
    overflow: Bool[Array, ""]
    seed: Int[Array, " words"]

    @classmethod
    def create(
        cls, samples: int, capacity: int, normals: int, seed: tuple[int, ...]
    ) -> "SampledSpace":
        """An empty space; `capacity` and `normals` are rounded up to blocks of 64."""
        room = -(-normals // BLOCK) * BLOCK
        basis = np.zeros((-(-capacity // BLOCK) * BLOCK, samples))
        basis[0] = 1.0
        parts = (basis, draw_normals(seed, 0, room, samples), 1, 0, False, seed)
        return cls(*(jnp.asarray(np.asarray(part)) for part in parts))

    @property
    def capacity(self) -> int:
        """Number of basis vectors there is room for."""
        return self.basis.shape[0]

    def inner(self, x: Float[Array, "k S"], y: Float[Array, "j S"]) -> Float[Array, "k j"]:
        """Single-site averages of all products of two blocks of vectors."""
        return x @ y.T / x.shape[1]

    def coordinates(self, x: Float[Array, "k S"]) -> Float[Array, "k capacity"]:
        """Coordinates of the part of `x` inside the span of the basis."""

        def step(i: Int[Array, ""], q: Float[Array, "k capacity"]) -> Float[Array, "k capacity"]:
            rows = lax.dynamic_slice_in_dim(self.basis, i * BLOCK, BLOCK)
            return lax.dynamic_update_slice_in_dim(q, self.inner(x, rows), i * BLOCK, axis=1)

        return lax.fori_loop(0, self._blocks(), step, jnp.zeros((x.shape[0], self.capacity)))

    def combine(self, c: Float[Array, "k capacity"]) -> Float[Array, "k S"]:
        """The vectors with the given coordinates."""

        def step(i: Int[Array, ""], x: Float[Array, "k S"]) -> Float[Array, "k S"]:
            rows = lax.dynamic_slice_in_dim(self.basis, i * BLOCK, BLOCK)
            return x + lax.dynamic_slice_in_dim(c, i * BLOCK, BLOCK, axis=1) @ rows

        zero = jnp.zeros((c.shape[0], self.basis.shape[1]))
        return lax.fori_loop(0, self._blocks(), step, zero)

    def _blocks(self) -> Int[Array, ""]:
        # The trip count follows the rank, so unused capacity costs memory but no time.
        return largest((self.size + BLOCK - 1) // BLOCK)

    def directions(self, k: int, blocks: int) -> int:
        """All of a small block, a few of a large one, whose covariance is never formed."""
        return k if k * blocks <= LARGE else min(k, FEW)

    def residual(
        self,
        x: Float[Array, "k S"],
        q: Float[Array, "k capacity"],
        a: Float[Array, "k r"],
        basis: Float[Array, "r capacity"],
        m: int,
    ) -> tuple[Float[Array, " m"], Float[Array, "k m"]]:
        """From `<x, x> - a a^T`, whose rounding error, 1e-16 of the trace, no tolerance reaches.

        Large blocks are searched by subspace iteration, which needs products with it alone.
        """
        del q, basis
        k = x.shape[0]
        if m == k:
            values, vectors = jnp.linalg.eigh(self.inner(x, x) - a @ a.T, symmetrize_input=False)
            return values[::-1], vectors[:, ::-1]

        def remainder(v: Float[Array, "k m"]) -> Float[Array, "k m"]:
            return self.inner(x, v.T @ x) - a @ (a.T @ v)

        first = jnp.asarray(np.random.default_rng(1).standard_normal((k, m)))
        v = lax.fori_loop(0, 3, lambda _, v: jnp.linalg.qr(remainder(v))[0], first)
        values, inside = jnp.linalg.eigh(v.T @ remainder(v))
        return values[::-1], v @ inside[:, ::-1]

    def trace(self, x: Float[Array, "k S"]) -> Float[Array, ""]:
        """Sum of the squared norms of a block of vectors."""
        return jnp.sum(x * x) / x.shape[1]

    def extension(self, x: Float[Array, "k S"]) -> tuple[Addition, Float[Array, "k capacity"]]:
        """What the basis lacks to contain `x`, and the coordinates of `x` once it is added."""
        k = x.shape[0]
        q, p = self._split(x)
        values: Array
        vectors: Array
        values, vectors = jnp.linalg.eigh(self.inner(p, p), symmetrize_input=False)
        values, vectors = values[::-1], vectors[:, ::-1]
        count = jnp.sum(values > NEGLIGIBLE)
        root = jnp.sqrt(jnp.where(_mask(k, count), values, 1.0))
        rows = jnp.where(_mask(k, count)[:, None], vectors.T @ p / root[:, None], 0.0)
        c = vectors * jnp.where(_mask(k, count), root, 0.0)
        return Addition(rows, count, jnp.zeros_like(count)), q + self._place(c)

    def fresh(self, k: int, count: Int[Array, ""]) -> Addition:
        """The first `count` of up to `k` new normals; rows beyond `count` are zero."""
        keep = _mask(k, count)
        z = lax.dynamic_slice_in_dim(self.pool, self.drawn, k)
        _, z = self._split(jnp.where(keep[:, None], z, 0.0))
        factor = cholesky(self.inner(z, z) + jnp.diag(jnp.where(keep, 0.0, 1.0)))
        z = triangular_inverse(factor) @ z
        return Addition(z, count, count)

    def along(self, x: Float[Array, "k S"], addition: Addition) -> Float[Array, "k capacity"]:
        """Coordinates of `x` on the vectors of an addition, where `add` will put them."""
        return self._place(self.inner(x, addition.rows))

    def add(self, addition: Addition) -> "SampledSpace":
        """Append an addition to the basis."""
        k = addition.rows.shape[0]
        basis = lax.dynamic_update_slice(self.basis, addition.rows, (self.size, 0))
        full = (self.size + k > self.capacity) | (self.drawn + k > self.pool.shape[0])
        new = (basis, self.size + addition.count, self.drawn + addition.drawn, self.overflow | full)
        return eqx.tree_at(lambda s: (s.basis, s.size, s.drawn, s.overflow), self, new)

    def _place(self, c: Float[Array, "k m"]) -> Float[Array, "k capacity"]:
        return lax.dynamic_update_slice(jnp.zeros((c.shape[0], self.capacity)), c, (0, self.size))

    def _split(
        self, x: Float[Array, "k S"]
    ) -> tuple[Float[Array, "k capacity"], Float[Array, "k S"]]:
        """Coordinates and remainder; projecting twice makes the remainder orthogonal."""

        def project(_: Any, qp: tuple[Array, Array]) -> tuple[Array, Array]:
            q, p = qp
            more = self.coordinates(p)
            return q + more, p - self.combine(more)

        # A loop, where two calls would do, halves the time to compile.
        return lax.fori_loop(0, 2, project, (jnp.zeros((x.shape[0], self.capacity)), x))

    def grow(self, factor: int = 2) -> "SampledSpace":
        """The same space with `factor` times the capacity (host side)."""
        more, samples = (factor - 1) * self.capacity, self.basis.shape[1]
        room = self.pool.shape[0]
        seed = tuple(int(word) for word in np.asarray(self.seed))
        extra = draw_normals(seed, room, factor * room, samples)
        basis = jnp.concatenate([self.basis, jnp.zeros((more, samples))])
        pool = jnp.concatenate([self.pool, jnp.asarray(extra)])
        return eqx.tree_at(lambda s: (s.basis, s.pool), self, (basis, pool))
