"""Spaces: where vectors live, in the limit of infinitely many coordinates.

The inner product is the single-site average `<x, y> = (1/S) sum_s x_s y_s`. A space of conditioned
matrices also remembers what is *known* in it: the constant vector, every normal drawn so far, and
every vector that a matrix of the space recorded. A fresh normal is independent of all of them,
which here means orthogonal to them.
"""

import abc
from typing import Self

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

    def carrying(self, x: Float[Array, "k n"]) -> Float[Array, " k"]:
        """Part of the points that carry each `<x, x>`: `<x^2>^2 / <x^4>`, 1 where x vanishes.

        Times the number of points it is Kish's effective sample size of that average.
        """
        largest = jnp.abs(x).max(axis=1, keepdims=True)
        square = (x / jnp.where(largest > 0, largest, 1.0)) ** 2
        fourth = jnp.mean(square**2, axis=1)
        found = jnp.mean(square, axis=1) ** 2 / jnp.where(fourth > 0, fourth, 1.0)
        return jnp.where(fourth > 0, found, 1.0)


class KnownSpace(Space):
    """A space of conditioned matrices: it counts what is known in it and the normals drawn.

    Attributes:
        size: Number of known vectors.
        drawn: Number of normals drawn.
        overflow: True once there was no room for what is known.
    """

    size: eqx.AbstractVar[Int[Array, ""]]
    drawn: eqx.AbstractVar[Int[Array, ""]]
    overflow: eqx.AbstractVar[Bool[Array, ""]]

    @property
    @abc.abstractmethod
    def capacity(self) -> int:
        """Number of known vectors there is room for."""

    @property
    @abc.abstractmethod
    def points(self) -> int:
        """Number of entries of a vector."""

    @abc.abstractmethod
    def grow(self) -> Self:
        """The same space with twice the capacity (host side)."""


class SearchedSpace(KnownSpace):
    """A space that remembers what is known in it, and searches blocks of vectors for the rest."""

    @abc.abstractmethod
    def trace(self, x: Float[Array, "k n"]) -> Float[Array, ""]:
        """Sum of the squared norms of a block of vectors."""

    @abc.abstractmethod
    def remainder(
        self, x: Float[Array, "k n"], a: Float[Array, "k r"], basis: Float[Array, "r n"]
    ) -> Float[Array, ""]:
        """Squared norms of a block outside an orthonormal basis in which it has coordinates `a`."""

    @abc.abstractmethod
    def directions(self, k: int, blocks: int) -> int:
        """How many directions of `k` vectors to open at once, if each has `blocks` images."""

    @abc.abstractmethod
    def principal(
        self, x: Float[Array, "k n"], m: int
    ) -> tuple[Float[Array, " m"], Float[Array, "k m"]]:
        """The `m` largest eigenvalues of a block's covariance and their vectors, in columns."""

    @abc.abstractmethod
    def extended(self, x: Float[Array, "k n"], count: Int[Array, ""]) -> Self:
        """The space that knows the first `count` rows of `x` too; the others are zero."""

    @abc.abstractmethod
    def fresh(
        self, k: int, count: Int[Array, ""], avoid: Float[Array, "j n"]
    ) -> tuple[Self, Float[Array, "k n"]]:
        """`count` of up to `k` normals, orthogonal to all that is known and to `avoid`.

        Rows beyond `count` are zero. They are not known until `extended` is told of them.
        """


def placed(
    rows: Float[Array, "row n"],
    new: Float[Array, "k n"],
    start: int,
    at: Int[Array, ""],
    count: Int[Array, ""],
    room: int,
) -> Float[Array, "row n"]:
    """Write the first `count` rows of `new` from `start + at` on, inside the `room` rows there."""
    k = min(new.shape[0], room)
    # Where fewer than k rows are left the window starts earlier and keeps what stands there.
    first = jnp.minimum(at, room - k)
    window = lax.dynamic_slice_in_dim(rows, start + first, k)
    shift = at - first
    index = jnp.arange(k) - shift
    inside = (index >= 0) & (index < count)
    moved = lax.dynamic_slice_in_dim(jnp.pad(new[:k], ((k, 0), (0, 0))), k - shift, k)
    window = jnp.where(inside[:, None], moved, window)
    return lax.dynamic_update_slice_in_dim(rows, window, start + first, axis=0)
