"""The exact Gaussian space: vectors of a linear program, stored as coefficients."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from orderparam.engine.space import Addition, KnownSpace


class ExactSpace(KnownSpace):
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

    def inner(self, x: Float[Array, "k n"], y: Float[Array, "j n"]) -> Float[Array, "k j"]:
        """Expected products of two blocks of vectors: dot products of their coefficients."""
        return x @ y.T

    def coordinates(self, x: Float[Array, "k n"]) -> Float[Array, "k n"]:
        """The coefficients themselves."""
        return x

    def combine(self, c: Float[Array, "k n"]) -> Float[Array, "k n"]:
        """The coefficients themselves."""
        return c

    def directions(self, k: int, blocks: int) -> int:
        """All of them."""
        del blocks
        return k

    def residual(
        self,
        x: Float[Array, "k n"],
        q: Float[Array, "k n"],
        a: Float[Array, "k r"],
        basis: Float[Array, "r n"],
        m: int,
    ) -> tuple[Float[Array, " m"], Float[Array, "k m"]]:
        """From the singular values of the coefficients, accurate to 1e-32 of the trace."""
        del x
        vectors, singular, _ = jnp.linalg.svd(q - a @ basis, full_matrices=False)
        return singular[:m] ** 2, vectors[:, :m]

    def trace(self, x: Float[Array, "k n"]) -> Float[Array, ""]:
        """Sum of the squared norms of a block of vectors."""
        return jnp.sum(x * x)

    def extension(self, x: Float[Array, "k n"]) -> tuple[Addition, Float[Array, "k n"]]:
        """Nothing is lacking; returns the coefficients."""
        zero = jnp.zeros_like(self.size)
        return Addition(jnp.zeros((x.shape[0], 0)), zero, zero), x

    def fresh(self, k: int, count: Int[Array, ""]) -> Addition:
        """The first `count` of up to `k` new unit vectors, which need no storage."""
        return Addition(jnp.zeros((k, 0)), count, count)

    def along(self, x: Float[Array, "k n"], addition: Addition) -> Float[Array, "k n"]:
        """Zero: coefficients are complete already."""
        del addition
        return jnp.zeros_like(x)

    def add(self, addition: Addition) -> "ExactSpace":
        """Count new normals."""
        overflow = self.overflow | (self.size + addition.rows.shape[0] > self.capacity)
        new = (self.size + addition.count, self.drawn + addition.drawn, overflow)
        return eqx.tree_at(lambda s: (s.size, s.drawn, s.overflow), self, new)

    def grow(self, factor: int = 2) -> "ExactSpace":
        """The same space with `factor` times the capacity."""
        return ExactSpace(self.size, self.drawn, self.overflow, factor * self.room)
