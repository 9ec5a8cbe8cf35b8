"""Spaces: where vectors live, in the limit of infinitely many coordinates.

A space keeps one orthonormal basis of *everything that is known in it*: the constant vector, every
normal drawn so far and every vector that a matrix of the space was applied to. Matrices store
coordinates in this basis only, so one representation serves all matrices that meet in the space, a
fresh normal is independent of all of them by being orthogonal to the basis, and the response
overlaps of the matrices can be read off.

The inner product is the single-site average `<x, y> = (1/S) sum_s x_s y_s`.
"""

import abc

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int


class Space(eqx.Module):
    """A space of vectors. A block of k vectors is an array (k, points)."""

    @abc.abstractmethod
    def inner(self, x: Float[Array, "k n"], y: Float[Array, "j n"]) -> Float[Array, "k j"]:
        """Single-site averages of all products of two blocks of vectors."""

    @abc.abstractmethod
    def normals(self, count: int) -> tuple["Space", Float[Array, "k n"]]:
        """Draw `count` independent standard normals, independent of everything known."""


class Addition(eqx.Module):
    """New basis vectors of a space: the first `count` rows, of which `drawn` came from the pool.

    Kept apart from the space so that a branch of a compiled program can return it without copying
    the whole basis.
    """

    rows: Float[Array, "k n"]
    count: Int[Array, ""]
    drawn: Int[Array, ""]


class KnownSpace(Space):
    """A space that remembers what is known in it; the home of conditioned matrices.

    Attributes:
        size: Number of basis vectors in use.
        drawn: Number of normals drawn.
        overflow: True once a basis or the pool of normals was too small.
    """

    size: eqx.AbstractVar[Int[Array, ""]]
    drawn: eqx.AbstractVar[Int[Array, ""]]
    overflow: eqx.AbstractVar[Bool[Array, ""]]

    @property
    @abc.abstractmethod
    def capacity(self) -> int:
        """Number of basis vectors there is room for."""

    @abc.abstractmethod
    def coordinates(self, x: Float[Array, "k n"]) -> Float[Array, "k capacity"]:
        """Coordinates of the part of `x` inside the span of the basis."""

    @abc.abstractmethod
    def combine(self, c: Float[Array, "k capacity"]) -> Float[Array, "k n"]:
        """The vectors with the given coordinates."""

    @abc.abstractmethod
    def directions(self, k: int, blocks: int) -> int:
        """How many directions of `k` vectors to look at at once, if each has `blocks` images."""

    @abc.abstractmethod
    def residual(
        self,
        x: Float[Array, "k n"],
        q: Float[Array, "k capacity"],
        a: Float[Array, "k r"],
        basis: Float[Array, "r capacity"],
        m: int,
    ) -> tuple[Float[Array, " m"], Float[Array, "k m"]]:
        """Principal directions of what remains of a block after projecting out `basis`.

        The block `x` comes with its coordinates `q` and its coordinates `a` in that orthonormal
        basis. Returns the `m` largest eigenvalues, largest first, and the eigenvectors (in
        columns) of the k x k covariance of the remainder.
        """

    @abc.abstractmethod
    def trace(self, x: Float[Array, "k n"]) -> Float[Array, ""]:
        """Sum of the squared norms of a block of vectors."""

    @abc.abstractmethod
    def extension(self, x: Float[Array, "k n"]) -> tuple[Addition, Float[Array, "k capacity"]]:
        """What the basis lacks to contain `x`, and the coordinates of `x` once it is added."""

    @abc.abstractmethod
    def fresh(self, k: int, count: Int[Array, ""]) -> Addition:
        """The first `count` of up to `k` new normals; rows beyond `count` are zero."""

    @abc.abstractmethod
    def add(self, addition: Addition) -> "KnownSpace":
        """Append an addition to the basis."""

    @abc.abstractmethod
    def along(self, x: Float[Array, "k n"], addition: Addition) -> Float[Array, "k capacity"]:
        """Coordinates of `x` on the vectors of an addition, where `add` will put them."""

    @abc.abstractmethod
    def grow(self, factor: int = 2) -> "KnownSpace":
        """The same space with `factor` times the capacity (host side)."""

    def normals(self, count: int) -> tuple["KnownSpace", Float[Array, "k n"]]:
        """Draw `count` independent standard normals, independent of everything known."""
        space = self.add(self.fresh(count, jnp.asarray(count)))
        c = jnp.zeros((count, self.capacity))
        return space, space.combine(lax.dynamic_update_slice(c, jnp.eye(count), (0, self.size)))
