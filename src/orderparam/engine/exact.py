"""The exact Gaussian space: vectors of a linear program, stored as coefficients."""

from typing import Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from orderparam.engine.space import SearchedSpace


class ExactSpace(SearchedSpace):
    """A space in which every vector is a linear combination of the drawn normals.

    A vector *is* its row of coefficients, the inner product is the dot product, and the same
    program that runs in a `SampledSpace` gives the exact limit without sampling error. Only linear
    programs are meaningful here: a nonlinear function of coefficients is not the function of the
    random variable.
    """

    size: Int[Array, ""]
    drawn: Int[Array, ""]
    overflow: Bool[Array, ""]
    room: int = eqx.field(static=True)

    @classmethod
    def create(cls, capacity: int) -> "ExactSpace":
        """An empty space with room for `capacity` normals."""
        zero = jnp.asarray(np.asarray(0))
        return cls(zero, zero, jnp.asarray(np.asarray(False)), capacity)

    @property
    def capacity(self) -> int:
        """Number of normals there is room for."""
        return self.room

    @property
    def points(self) -> int:
        """Number of coefficients."""
        return self.room

    def inner(self, x: Float[Array, "k n"], y: Float[Array, "j n"]) -> Float[Array, "k j"]:
        """Expected products of two blocks of vectors: dot products of their coefficients."""
        return x @ y.T

    def normals(self, count: int) -> tuple["ExactSpace", Float[Array, "k n"]]:
        """New unit vectors."""
        return self.fresh(count, jnp.asarray(count), jnp.zeros((0, self.room)))

    def carrying(self, x: Float[Array, "k n"]) -> Float[Array, " k"]:
        """All of it: nothing is sampled."""
        return jnp.ones(x.shape[0])

    def trace(self, x: Float[Array, "k n"]) -> Float[Array, ""]:
        """Sum of the squared norms of a block of vectors."""
        return jnp.sum(x * x)

    def remainder(
        self, x: Float[Array, "k n"], a: Float[Array, "k r"], basis: Float[Array, "r n"]
    ) -> Float[Array, ""]:
        """From the coefficients, accurate to 1e-32 of the trace."""
        return self.trace(x - a @ basis)

    def directions(self, k: int, blocks: int) -> int:
        """All of them."""
        del blocks
        return k

    def principal(
        self, x: Float[Array, "k n"], m: int
    ) -> tuple[Float[Array, " m"], Float[Array, "k m"]]:
        """From the singular values of the coefficients, accurate to 1e-32 of the trace."""
        vectors, singular, _ = jnp.linalg.svd(x, full_matrices=False)
        return singular[:m] ** 2, vectors[:, :m]

    def extended(self, x: Float[Array, "k n"], count: Int[Array, ""]) -> Self:
        """Coefficients are complete already."""
        del x, count
        return self

    def fresh(
        self, k: int, count: Int[Array, ""], avoid: Float[Array, "j n"]
    ) -> tuple[Self, Float[Array, "k n"]]:
        """The first `count` of up to `k` new unit vectors."""
        del avoid
        at = self.size + jnp.arange(k)
        used = jnp.arange(k) < count
        rows = jnp.where(used[:, None] & (at[:, None] == jnp.arange(self.room)), 1.0, 0.0)
        full = self.overflow | (self.size + count > self.room)
        new = (self.size + count, self.drawn + count, full)
        return eqx.tree_at(lambda s: (s.size, s.drawn, s.overflow), self, new), rows

    def grow(self) -> Self:
        """The same space with twice the capacity."""
        return type(self)(self.size, self.drawn, self.overflow, 2 * self.room)
