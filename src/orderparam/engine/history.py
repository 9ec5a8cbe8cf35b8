"""What a conditioned matrix remembers of one of its sides.

Several independent matrices that are applied to the same vectors share one history: each direction
then has one image per matrix.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

NOWHERE = 2**30
"""Position that no basis vector has; reading there gives zero."""


class History(eqx.Module):
    """One side of a conditioned matrix: the directions it was applied to, and their images.

    An image is a normal, hence a vector of the opposite space's basis. With b blocks (independent
    matrices that share the history) direction i has the images number i b ... i b + b - 1:
    `image` holds their positions in the opposite basis, `slot` is the inverse map (both hold
    `NOWHERE` where unused).

    Attributes:
        basis: Orthonormal directions, as coordinates in their own space.
        image: Position of each image in the opposite basis.
        slot: For each position of the opposite basis, the number of the image that stands there.
        rank: Number of directions in use.
        dropped: Largest squared norm, relative to its block, of a direction left out.
        missing: Largest part of the squared norm of a block that its directions leave out: its
            images are too small by that much.
        overflow: True once there was no room for a new direction.
    """

    basis: Float[Array, "r own"]
    image: Int[Array, " images"]
    slot: Int[Array, " other"]
    rank: Int[Array, ""]
    dropped: Float[Array, ""]
    missing: Float[Array, ""]
    overflow: Bool[Array, ""]
    blocks: int = eqx.field(static=True)

    @classmethod
    def create(cls, capacity: int, own: int, other: int, blocks: int = 1) -> "History":
        """An empty history with room for `capacity` directions."""
        places = (np.full(capacity * blocks, NOWHERE), np.full(other, NOWHERE))
        parts = (np.zeros((capacity, own)), *places, 0, 0.0, 0.0, False)
        arrays: list[Any] = [jnp.asarray(np.asarray(part)) for part in parts]
        return cls(*arrays, blocks=blocks)

    def answers(self, q: Float[Array, "k other"]) -> Float[Array, "k images"]:
        """Inner products with the images, from coordinates in the opposite space."""
        return q.at[:, self.image].get(mode="fill", fill_value=0.0)

    def combine(self, a: Float[Array, "k images"]) -> Float[Array, "k other"]:
        """Coordinates in the opposite space of combinations of images."""
        return a.at[:, self.slot].get(mode="fill", fill_value=0.0)

    def grow(self, capacity: int, own: int, other: int) -> "History":
        """The same history with more room (host side)."""

        def pad(a: Int[Array, " n"], size: int) -> Int[Array, " m"]:
            return jnp.pad(a, (0, size - a.shape[0]), constant_values=NOWHERE)

        rows, columns = capacity - self.basis.shape[0], own - self.basis.shape[1]
        basis = jnp.pad(self.basis, ((0, rows), (0, columns)))
        new = (basis, pad(self.image, capacity * self.blocks), pad(self.slot, other))
        return eqx.tree_at(lambda s: (s.basis, s.image, s.slot), self, new)

    def write(
        self, c: Float[Array, "k own"], at: Int[Array, ""], count: Int[Array, ""]
    ) -> "History":
        """Append the first `count` rows of `c`, whose images stand at `at` and after."""
        k, first = c.shape[0], self.rank * self.blocks
        index = jnp.arange(k * self.blocks)
        keep = index < count * self.blocks
        new = (
            lax.dynamic_update_slice(self.basis, c, (self.rank, 0)),
            _put(self.image, jnp.where(keep, at + index, NOWHERE), first),
            _put(self.slot, jnp.where(keep, first + index, NOWHERE), at),
            self.rank + count,
            self.overflow | (self.rank + k > self.basis.shape[0]),
        )
        parts = lambda s: (s.basis, s.image, s.slot, s.rank, s.overflow)  # noqa: E731
        return eqx.tree_at(parts, self, new)


def _put(a: Int[Array, " n"], values: Int[Array, " k"], at: Int[Array, ""]) -> Int[Array, " n"]:
    return lax.dynamic_update_slice(a, values, (at,))
