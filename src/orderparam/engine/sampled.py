"""A space of sampled points: the single-site law by quasi-Monte Carlo."""

from typing import Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from orderparam.engine.normals import BLOCK, draw_normals
from orderparam.engine.space import SearchedSpace, placed

NEGLIGIBLE = 1e-10
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


class SampledSpace(SearchedSpace):
    """A space represented by `S` points of the single-site law (Monte-Carlo error ~ S^-1/2).

    Normals are scrambled Sobol coordinates in order of appearance. Each new block is whitened: its
    empirical mean is 0, its covariance the identity, and it is orthogonal to everything known.

    Attributes:
        basis: Orthonormal basis of everything known.
        pool: Normals to draw from. Once all were drawn they are drawn again with their points
            shifted: points are in random order, so shifted normals are new ones.
    """

    basis: Float[Array, "capacity S"]
    pool: Float[Array, "normals S"]
    size: Int[Array, ""]
    drawn: Int[Array, ""]
    overflow: Bool[Array, ""]

    @classmethod
    def create(
        cls, samples: int, capacity: int, normals: int, seed: tuple[int, ...]
    ) -> "SampledSpace":
        """An empty space; `capacity` and `normals` are rounded up to blocks of 64."""
        room = -(-normals // BLOCK) * BLOCK
        basis = np.zeros((-(-capacity // BLOCK) * BLOCK, samples))
        basis[0] = 1.0
        parts = (basis, draw_normals(seed, 0, room, samples), 1, 0, False)
        return cls(*(jnp.asarray(np.asarray(part)) for part in parts))

    @property
    def capacity(self) -> int:
        """Number of known vectors there is room for."""
        return self.basis.shape[0]

    @property
    def points(self) -> int:
        """Number of points S."""
        return self.basis.shape[1]

    def inner(self, x: Float[Array, "k S"], y: Float[Array, "j S"]) -> Float[Array, "k j"]:
        """Single-site averages of all products of two blocks of vectors."""
        return x @ y.T / x.shape[1]

    def normals(self, count: int) -> tuple["SampledSpace", Float[Array, "k S"]]:
        """Draw `count` independent standard normals, independent of everything known."""
        space, z = self.fresh(count, jnp.asarray(count), jnp.zeros((0, self.points)))
        return space._appended(z, jnp.asarray(count)), z

    def trace(self, x: Float[Array, "k S"]) -> Float[Array, ""]:
        """Sum of the squared norms of a block of vectors."""
        return jnp.sum(x * x) / x.shape[1]

    def remainder(
        self, x: Float[Array, "k S"], a: Float[Array, "k r"], basis: Float[Array, "r S"]
    ) -> Float[Array, ""]:
        """By Pythagoras; the rounding error, 1e-16 of the trace, no tolerance reaches."""
        del basis
        return self.trace(x) - jnp.sum(a * a)

    def directions(self, k: int, blocks: int) -> int:
        """All of a small block, a few of a large one, whose covariance is never formed."""
        return k if k * blocks <= LARGE else min(k, FEW)

    def principal(
        self, x: Float[Array, "k S"], m: int
    ) -> tuple[Float[Array, " m"], Float[Array, "k m"]]:
        """Of a large block by subspace iteration, which needs products with it alone."""
        k = x.shape[0]
        if m == k:
            values, vectors = jnp.linalg.eigh(self.inner(x, x), symmetrize_input=False)
            return values[::-1], vectors[:, ::-1]

        def covariance(v: Float[Array, "k m"]) -> Float[Array, "k m"]:
            return self.inner(x, v.T @ x)

        first = jnp.asarray(np.random.default_rng(1).standard_normal((k, m)))
        v = lax.fori_loop(0, 3, lambda _, v: jnp.linalg.qr(covariance(v))[0], first)
        values, inside = jnp.linalg.eigh(v.T @ covariance(v), symmetrize_input=False)
        return values[::-1], v @ inside[:, ::-1]

    def extended(self, x: Float[Array, "k S"], count: Int[Array, ""]) -> Self:
        """The space that knows the first `count` rows of `x` too; only what is new is added."""
        # Once is enough, as rows that are nearly inside are not added at all.
        rest = self._outside(x, jnp.where(count > 0, 1, 0))
        values, vectors = jnp.linalg.eigh(self.inner(rest, rest), symmetrize_input=False)
        values, vectors = values[::-1], vectors[:, ::-1]
        new = values > NEGLIGIBLE
        scale = jnp.where(new, 1 / jnp.sqrt(jnp.where(new, values, 1.0)), 0.0)
        return self._appended((vectors * scale).T @ rest, jnp.sum(new))

    def fresh(
        self, k: int, count: Int[Array, ""], avoid: Float[Array, "j S"]
    ) -> tuple[Self, Float[Array, "k S"]]:
        """`count` of up to `k` normals, orthogonal to all that is known and, nearly, to `avoid`.

        Normals meet what they shall avoid with overlaps of order S^-1/2. These are taken away
        between two projections on what is known, the second of which leaves a small part of them.
        """
        used = jnp.arange(k) < count
        z = jnp.where(used[:, None], self._drawn(k), 0.0)
        if avoid.shape[0]:
            z = self._outside(z, 1)
            values, vectors = jnp.linalg.eigh(self.inner(avoid, avoid), symmetrize_input=False)
            good = values > NEGLIGIBLE
            inverse = (vectors * jnp.where(good, 1 / jnp.where(good, values, 1.0), 0.0)) @ vectors.T
            z = z - (self.inner(z, avoid) @ inverse) @ avoid
        z = self._outside(z, 1 if avoid.shape[0] else 2)
        unused = jnp.diag(jnp.where(used, 0.0, 1.0))
        values, vectors = jnp.linalg.eigh(self.inner(z, z) + unused, symmetrize_input=False)
        z = ((vectors / jnp.sqrt(values)) @ vectors.T) @ z
        return eqx.tree_at(lambda s: s.drawn, self, self.drawn + count), z

    def _drawn(self, k: int) -> Float[Array, "k S"]:
        """The next `k` normals of the pool."""
        index = self.drawn + jnp.arange(k)
        rounds, row = index // self.pool.shape[0], index % self.pool.shape[0]
        # A shift by a large odd number; S is a power of two, so that S rounds repeat none.
        shift = rounds * (2 * (self.points // 5) + 1)
        point = (jnp.arange(self.points) + shift[:, None]) % self.points
        return self.pool[row[:, None], point]

    def _outside(self, x: Float[Array, "k S"], times: Int[Array, ""] | int) -> Float[Array, "k S"]:
        """What is left of `x` outside the basis.

        Projecting twice makes it orthogonal to rounding, once to rounding relative to what was
        inside. Blocks of rows that are not in use are left out.
        """
        blocks = largest((self.size + BLOCK - 1) // BLOCK)

        def project(i: Int[Array, ""], x: Float[Array, "k S"]) -> Float[Array, "k S"]:
            rows = lax.dynamic_slice_in_dim(self.basis, (i % blocks) * BLOCK, BLOCK)
            return x - self.inner(x, rows) @ rows

        return lax.fori_loop(0, largest(jnp.asarray(times)) * blocks, project, x)

    def _appended(self, rows: Float[Array, "k S"], count: Int[Array, ""]) -> Self:
        basis = placed(self.basis, rows, 0, self.size, count, self.capacity)
        new = (basis, self.size + count, self.overflow | (self.size + count > self.capacity))
        return eqx.tree_at(lambda s: (s.basis, s.size, s.overflow), self, new)

    def grow(self) -> Self:
        """The same space with twice the capacity (host side)."""
        basis = jnp.concatenate([self.basis, jnp.zeros_like(self.basis)])
        return eqx.tree_at(lambda s: s.basis, self, basis)
