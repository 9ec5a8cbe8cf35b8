"""What a conditioned matrix keeps in one of its two spaces.

A product with the matrix is one pass over the vectors of either side:

| vectors     | number             | what                                                         |
|-------------|--------------------|--------------------------------------------------------------|
| slots       | slots              | E: directions of recent residuals, orthonormal               |
| slot images | slots x blocks     | images of the slots of the other side                        |
| directions  | capacity           | X: recorded directions, orthonormal                          |
| images      | opposite x blocks  | R: images of the directions recorded on the other side       |
| moments     | opposite x blocks  | M: what was trained along each direction of the other side   |

Directions and images change only when directions are recorded, slots when they are refreshed, and
moments at every step of training. Vectors that are not in use are zero. With b blocks (independent
matrices that share a history) each direction has b images and moments, blocks fastest.
"""

import dataclasses
from typing import Any, NamedTuple, Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from orderparam.engine.space import Space, placed


class Parts(NamedTuple):
    """Numbers for each vector of a side."""

    slot: Float[Array, "k slot"]
    slot_image: Float[Array, "k slot_image"]
    direction: Float[Array, "k direction"]
    image: Float[Array, "k image"]
    moment: Float[Array, "k image"]


class Side(eqx.Module):
    """The vectors of a matrix in one space.

    Attributes:
        held: Slots, and below them slot images.
        recorded: Directions, and below them images.
        moments: M.
        rank: Number of recorded directions.
        left: Part of the squared norm of a block outside directions and slots that the last
            refresh of the slots had to leave, relative to the block.
        missing: Largest part of the squared norm of a block outside directions and slots: its
            images are too small by that much.
        overflow: True once there was no room for a new direction.
        blocks: Number of images of a direction.
        capacity: Directions there is room for.
        slots: Number of slots.
    """

    held: Float[Array, "slots n"]
    recorded: Float[Array, "row n"]
    moments: Float[Array, "image n"]
    rank: Int[Array, ""]
    left: Float[Array, ""]
    missing: Float[Array, ""]
    overflow: Bool[Array, ""]
    blocks: int = eqx.field(static=True)
    capacity: int = eqx.field(static=True)
    slots: int = eqx.field(static=True)

    @classmethod
    def create(cls, points: int, slots: int, blocks: int, capacity: int, opposite: int) -> Self:
        """An empty side whose vectors have `points` entries.

        `opposite` is the capacity of the other side.
        """
        images = opposite * blocks
        counts = (slots * (1 + blocks), capacity + images, images)
        parts = (*(np.zeros((count, points)) for count in counts), 0, 0.0, 0.0, False)
        arrays = [jnp.asarray(np.asarray(part)) for part in parts]
        return cls(*arrays, blocks=blocks, capacity=capacity, slots=slots)

    @property
    def slot(self) -> Float[Array, "slot n"]:
        """E: directions of recent residuals."""
        return self.held[: self.slots]

    @property
    def slot_image(self) -> Float[Array, "slot_image n"]:
        """Images of the slots of the other side."""
        return self.held[self.slots :]

    @property
    def direction(self) -> Float[Array, "direction n"]:
        """X: recorded directions."""
        return self.recorded[: self.capacity]

    @property
    def image(self) -> Float[Array, "image n"]:
        """R: images of the directions of the other side."""
        return self.recorded[self.capacity :]

    def products(self, x: Float[Array, "k n"], space: Space) -> Parts:
        """Inner products with every vector of the side."""
        held, recorded = space.inner(x, self.held), space.inner(x, self.recorded)
        return Parts(
            slot=held[:, : self.slots],
            slot_image=held[:, self.slots :],
            direction=recorded[:, : self.capacity],
            image=recorded[:, self.capacity :],
            moment=space.inner(x, self.moments),
        )

    def combined(self, c: Parts) -> Float[Array, "k n"]:
        """Combinations of the vectors of the side."""
        held = jnp.concatenate([c.slot, c.slot_image], axis=1)
        recorded = jnp.concatenate([c.direction, c.image], axis=1)
        return held @ self.held + recorded @ self.recorded + c.moment @ self.moments

    def with_slots(self, slot: Float[Array, "slot n"]) -> Self:
        """The same with other slots."""
        return eqx.tree_at(lambda s: s.held, self, jnp.concatenate([slot, self.slot_image]))

    def with_slot_images(self, image: Float[Array, "slot_image n"]) -> Self:
        """The same with other images of the slots of the other side."""
        return eqx.tree_at(lambda s: s.held, self, jnp.concatenate([self.slot, image]))

    def with_directions(
        self, new: Float[Array, "k n"], at: Int[Array, ""], count: Int[Array, ""]
    ) -> Self:
        """The same with the first `count` rows of `new` as directions number `at` and after."""
        rows = placed(self.recorded, new, 0, at, count, self.capacity)
        return eqx.tree_at(lambda s: s.recorded, self, rows)

    def with_images(
        self, new: Float[Array, "k n"], at: Int[Array, ""], count: Int[Array, ""]
    ) -> Self:
        """The same with the first `count` rows of `new` as images number `at` and after."""
        rows = placed(self.recorded, new, self.capacity, at, count, len(self.moments))
        return eqx.tree_at(lambda s: s.recorded, self, rows)

    def resized(self, points: int, capacity: int, opposite: int) -> Self:
        """The same with room for more directions and longer vectors (host side)."""
        longer = points - self.held.shape[1]

        def pad(x: Float[Array, "r n"], rows: int) -> Float[Array, "s m"]:
            return jnp.pad(x, ((0, rows - x.shape[0]), (0, longer)))

        images = opposite * self.blocks
        recorded = jnp.concatenate([pad(self.direction, capacity), pad(self.image, images)])
        return dataclasses.replace(
            self,
            held=pad(self.held, len(self.held)),
            recorded=recorded,
            moments=pad(self.moments, images),
            capacity=capacity,
        )


class Known(NamedTuple):
    """A matrix seen from the side of its argument: both sides, and their spaces.

    `spaces` holds one space where both sides have the same, else that of the argument first; of the
    kind that the rule of recording is for.
    """

    own: Side
    other: Side
    spaces: tuple[Any, ...]
