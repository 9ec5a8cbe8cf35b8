"""The state of a program: all spaces, matrices and kept vectors, as one immutable value."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from orderparam.engine.exact import ExactSpace
from orderparam.engine.finite import FiniteMatrix, FiniteSpace
from orderparam.engine.gram_schmidt import record_in_order
from orderparam.engine.layout import Layout
from orderparam.engine.matrix import GaussianMatrix, Recorder, Scalar
from orderparam.engine.recording import record
from orderparam.engine.sampled import SampledSpace
from orderparam.engine.seeded import SeededSpace
from orderparam.engine.side import Side
from orderparam.engine.space import KnownSpace, Space
from orderparam.engine.training import Trained
from orderparam.errors import InvalidProblem

SLOTS = 16
"""Residual directions that a history holds for a while, unless a program asks for fewer."""

NORMALS = 64
"""Normals of each space that are drawn on the host; further ones are these with points shifted."""


class State(eqx.Module):
    """Everything a program knows; each verb returns a new state.

    Attributes:
        spaces: The spaces by name.
        matrices: The matrices by name, all conditioned or all finite.
        vectors: Vectors that the program keeps between steps, by name, with the space they live in
            in `homes`.
    """

    spaces: dict[str, Any]
    matrices: dict[str, Any]
    vectors: dict[str, Float[Array, "k n"]]
    homes: dict[str, str | None] = eqx.field(static=True)

    def space(self, name: str) -> Space:
        """The space of that name."""
        return self.spaces[name]

    def inner(self, space: str, x: Float[Array, "k n"], y: Float[Array, "j n"]) -> Array:
        """Single-site averages of all products of two blocks of vectors of a space."""
        return self.spaces[space].inner(x, y)

    def carrying(self, space: str, x: Float[Array, "k n"]) -> Float[Array, " k"]:
        """Part of the points of a space that carry the squared norm of each vector."""
        return self.spaces[space].carrying(x)

    def normals(self, space: str, count: int) -> tuple["State", Float[Array, "k n"]]:
        """Draw `count` fresh standard normals in a space."""
        new, z = self.spaces[space].normals(count)
        return self._replace(spaces={space: new}), z

    def keep(self, name: str, space: str | None, x: Float[Array, "k n"]) -> "State":
        """Keep vectors of a space (or, with `None`, plain numbers) between steps, by name."""
        homes = {**self.homes, name: space}
        return type(self)(self.spaces, self.matrices, {**self.vectors, name: x}, homes)

    def mv(self, name: str, x: Float[Array, "k m"]) -> tuple["State", Float[Array, "k n"]]:
        """The product `W x` for a block of vectors of the column space."""
        return self._product(name, "mv", x)

    def rmv(self, name: str, y: Float[Array, "k n"]) -> tuple["State", Float[Array, "k m"]]:
        """The product `W^T y` for a block of vectors of the row space."""
        return self._product(name, "rmv", y)

    def _product(self, name: str, verb: str, x: Array) -> tuple["State", Array]:
        matrix = self.matrices[name]
        new, spaces, y = getattr(matrix, verb)({n: self.spaces[n] for n in matrix.names}, x)
        return self._replace(spaces=spaces, matrices={name: new}), y

    def update(
        self,
        name: str,
        coefficients: Float[Array, " k"] | Float[Array, "j k"],
        *,
        step: Scalar = 1.0,
        decay: Scalar = 0.0,
        momentum: Scalar = 0.0,
        ridge: Scalar = 0.0,
    ) -> "State":
        """Train a matrix along the outer products of its most recent `rmv` and `mv` arguments.

        `G = sum_jk c_jk y_j x_k^T / m` (a vector of coefficients is a diagonal),
        `V <- momentum V + G - ridge W`, `W <- (1 - decay) W + step V`.
        """
        matrix = self.matrices[name].update(coefficients, step, decay, momentum, ridge)
        return self._replace(matrices={name: matrix})

    def forget(self) -> "State":
        """Drop the memory of recent arguments; done by the runner after every step."""
        return self._replace(matrices={k: m.forget() for k, m in self.matrices.items()})

    def _replace(
        self, spaces: Mapping[str, Any] | None = None, matrices: Mapping[str, Any] | None = None
    ) -> "State":
        return type(self)(
            {**self.spaces, **(spaces or {})},
            {**self.matrices, **(matrices or {})},
            self.vectors,
            self.homes,
        )


def sampled_state(
    layout: Layout,
    samples: int,
    capacity: int | tuple[int, int],
    tolerance: Scalar,
    seed: tuple[int, ...],
    slots: int = SLOTS,
) -> State:
    """A state of sampled spaces: the limit, with Monte-Carlo error of order `samples**-0.5`.

    Args:
        layout: Spaces and matrices.
        samples: Points of each space, a power of two.
        capacity: Directions there is room for in each history at first, or in those of arguments
            of `mv` and of `rmv`; doubled when needed.
        tolerance: Relative squared norm below which a direction is not recorded.
        seed: Integers that name the replicate.
        slots: Residual directions of each history that keep their images for a while; no more
            than vectors in a block are of use.
    """
    rooms = (capacity, capacity) if isinstance(capacity, int) else capacity
    spaces = {
        name: SampledSpace.create(samples, _room(layout, name, rooms), NORMALS, (*seed, index))
        for index, name in enumerate(layout.spaces)
    }
    return _conditioned(layout, spaces, rooms, tolerance, slots, record)


def exact_state(layout: Layout, capacity: int, tolerance: Scalar) -> State:
    """A state of exact Gaussian spaces: the limit of a linear program without sampling error."""
    # One size for all spaces, so that programs may stack vectors of different ones.
    rooms = (capacity, capacity)
    room = max(_room(layout, name, rooms) for name in layout.spaces)
    spaces = {name: ExactSpace.create(room) for name in layout.spaces}
    return _conditioned(layout, spaces, rooms, tolerance, 0, record)


def seeded_state(
    layout: Layout,
    spaces: Mapping[str, SeededSpace],
    capacity: int | tuple[int, int],
    tolerance: Scalar,
) -> State:
    """A state that can be differentiated with respect to what its spaces weigh.

    Args:
        layout: Spaces and matrices.
        spaces: A fresh space of particles or of coefficients for each name.
        capacity: Directions there is room for, as in `sampled_state`.
        tolerance: Squared norm of a residual, relative to its vector, below which it is dropped.
    """
    rooms = (capacity, capacity) if isinstance(capacity, int) else capacity
    return _conditioned(layout, spaces, rooms, tolerance, 0, record_in_order)


def _room(layout: Layout, space: str, rooms: tuple[int, int]) -> int:
    """Room for known vectors: a history of each attached matrix, and images of its other one."""
    rx, ry = rooms
    total = max(rooms)
    for spec in layout.matrices.values():
        blocks = len(spec.taps)
        total += (spec.column == space) * (rx + blocks * ry)
        total += (spec.row == space) * (ry + blocks * rx)
    return total


def _conditioned(
    layout: Layout,
    spaces: Mapping[str, KnownSpace],
    rooms: tuple[int, int],
    tolerance: Scalar,
    slots: int,
    rule: Recorder,
) -> State:
    matrices = {}
    rx, ry = rooms
    for name, spec in layout.matrices.items():
        blocks = len(spec.taps)
        column = Side.create(spaces[spec.column].points, slots, blocks, rx, ry)
        row = Side.create(spaces[spec.row].points, slots, blocks, ry, rx)
        core = jnp.asarray(np.zeros((ry, rx, blocks)))
        zero = jnp.asarray(np.asarray(0.0))
        still = Trained(zero, core, column.moments, row.moments) if spec.momentum else None
        matrices[name] = GaussianMatrix(
            names=spec.names,
            variance=spec.variance,
            aspect_ratio=spec.aspect_ratio,
            response=spec.response,
            taps=spec.taps,
            record=rule,
            tolerance=jnp.asarray(np.asarray(tolerance)),
            column=column,
            row=row,
            decay=1 + zero,
            core=core,
            velocity=still,
            queries=(None, None),
        )
    return State(dict(spaces), matrices, {}, {})


def finite_state(layout: Layout, sizes: Mapping[str, int], key: Key[Array, ""]) -> State:
    """A state of actual vectors and matrices of the given sizes.

    Raises:
        InvalidProblem: If a matrix's sizes do not have its aspect ratio.
    """
    keys = jax.random.split(key, len(layout.spaces) + len(layout.matrices))
    spaces = {
        name: FiniteSpace(k, sizes[name]) for name, k in zip(layout.spaces, keys, strict=False)
    }
    matrices = {}
    for (name, spec), k in zip(layout.matrices.items(), keys[len(spaces) :], strict=True):
        shape = (sizes[spec.row], sizes[spec.column])
        if abs(shape[0] / shape[1] / spec.aspect_ratio - 1) > 1 / min(shape):
            raise InvalidProblem(
                f"Matrix `{name}` is {shape[0]} x {shape[1]}, but its aspect ratio is "
                f"{spec.aspect_ratio}; choose sizes with that ratio."
            )
        matrices[name] = FiniteMatrix.create(spec.names, shape, spec.variance, k, spec.taps)
    return State(spaces, matrices, {}, {})
