"""The bookkeeping of a state: growing its histories, how full they are, how orthogonal."""

from collections.abc import Mapping, Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from orderparam.engine.matrix import GaussianMatrix
from orderparam.engine.sampled import SampledSpace
from orderparam.engine.side import Side
from orderparam.engine.space import KnownSpace
from orderparam.engine.state import State
from orderparam.engine.training import Trained
from orderparam.errors import CapacityExceeded

LIMIT = 4
"""A sampled space may know at most samples / LIMIT vectors."""

CROWDED = 20
"""Above samples / CROWDED known vectors the diagnostics carry a note."""


def overflowed(state: State) -> Bool[Array, ""]:
    """Whether any side of a matrix or any space ran out of room."""
    flags = [s.overflow for s in (*_spaces(state).values(), *_sides(state))]
    return jnp.any(jnp.stack(flags)) if flags else jnp.asarray(np.asarray(False))


def grown(state: State, full: Sequence[State]) -> State:
    """The same state with twice the room wherever one of those that came of it ran out.

    On the host: what follows compiles anew.
    """
    spaces = {
        name: space.grow() if any(bool(f.spaces[name].overflow) for f in full) else space
        for name, space in state.spaces.items()
    }
    matrices = {
        name: _resized(matrix, [f.matrices[name] for f in full], spaces)
        for name, matrix in state.matrices.items()
    }
    vectors = {}
    for name, x in state.vectors.items():
        home = state.homes[name]
        # In an exact space a vector is its coordinates, so it grows with the space.
        more = 0 if home is None else spaces[home].points - state.spaces[home].points
        vectors[name] = jnp.pad(x, ((0, 0), (0, more)))
    return State(spaces, matrices, vectors, state.homes)


def _resized(
    matrix: GaussianMatrix, full: Sequence[GaussianMatrix], spaces: Mapping[str, KnownSpace]
) -> GaussianMatrix:
    """A matrix with room for what its spaces hold, and twice as much on a side that was full."""
    rx = (1 + any(bool(f.column.overflow) for f in full)) * matrix.column.capacity
    ry = (1 + any(bool(f.row.overflow) for f in full)) * matrix.row.capacity
    m, n = (spaces[name].points for name in matrix.names)
    column, row = matrix.column.resized(m, rx, ry), matrix.row.resized(n, ry, rx)

    def core(c: Array) -> Array:
        return jnp.pad(c, ((0, ry - c.shape[0]), (0, rx - c.shape[1]), (0, 0)))

    velocity = matrix.velocity
    if velocity is not None:
        moments = (velocity.column, velocity.row)
        padded = (
            jnp.pad(
                v, [(0, new - old) for new, old in zip(side.moments.shape, v.shape, strict=True)]
            )
            for v, side in zip(moments, (column, row), strict=True)
        )
        velocity = Trained(velocity.decay, core(velocity.core), *padded)
    parts = lambda s: (s.column, s.row, s.core, s.velocity)  # noqa: E731
    new = (column, row, core(matrix.core), velocity)
    return eqx.tree_at(parts, matrix, new, is_leaf=lambda leaf: leaf is None)


def _spaces(state: State) -> dict[str, KnownSpace]:
    return {n: s for n, s in state.spaces.items() if isinstance(s, KnownSpace)}


def _sides(state: State) -> list[Side]:
    matrices = [m for m in state.matrices.values() if isinstance(m, GaussianMatrix)]
    return [side for m in matrices for side in (m.column, m.row)]


def known(state: State) -> dict[str, int]:
    """Number of vectors known in each conditioned space, and held in the slots of its matrices."""
    found = {name: int(space.size) for name, space in _spaces(state).items()}
    for matrix in state.matrices.values():
        if isinstance(matrix, GaussianMatrix):
            for side, name in zip((matrix.column, matrix.row), matrix.names, strict=True):
                found[name] += int(np.sum(np.any(np.asarray(side.held) != 0, axis=1)))
    return found


def ranks(state: State) -> dict[str, tuple[int, int]]:
    """Ranks (r_x, r_y) of the history of each conditioned matrix."""
    return {
        name: (int(m.column.rank), int(m.row.rank))
        for name, m in state.matrices.items()
        if isinstance(m, GaussianMatrix)
    }


def missing(state: State) -> float:
    """Largest part of the squared norm of a block that has neither direction nor slot."""
    return max((float(side.missing) for side in _sides(state)), default=0.0)


def orthogonality_loss(state: State) -> float:
    """Largest deviation of the Gram matrices of bases and directions from the identity."""
    worst = 0.0
    bases = [
        (np.asarray(space.basis)[: int(space.size)], space.points)
        for space in state.spaces.values()
        if isinstance(space, SampledSpace)
    ]
    for matrix in state.matrices.values():
        if isinstance(matrix, GaussianMatrix):
            for side, name in zip((matrix.column, matrix.row), matrix.names, strict=True):
                space = state.spaces[name]
                weight = space.points if isinstance(space, SampledSpace) else 1
                bases.append((np.asarray(side.direction)[: int(side.rank)], weight))
    for rows, weight in bases:
        gap = np.abs(rows @ rows.T / weight - np.eye(len(rows)))
        worst = max(worst, float(np.max(gap, initial=0.0)))
    return worst


def check_capacity(state: State) -> None:
    """Refuse spaces that know more vectors than their samples can tell apart.

    Raises:
        CapacityExceeded: If a sampled space knows more than a quarter of its samples.
    """
    sizes = known(state)
    for name, space in state.spaces.items():
        if not isinstance(space, SampledSpace):
            continue
        samples = space.basis.shape[1]
        if sizes[name] > samples / LIMIT:
            enough = 2 ** int(np.ceil(np.log2(LIMIT * sizes[name])))
            raise CapacityExceeded(
                f"Space `{name}` knows {sizes[name]} vectors, but {samples} samples can hold "
                f"{samples // LIMIT}. Raise `samples` to at least {enough}, or raise `tolerance`."
            )


def crowding_notes(state: State) -> list[str]:
    """A sentence for each sampled space that knows more than S/20 vectors."""
    sizes = known(state)
    return [
        f"Space {name} knows {sizes[name]} vectors on {space.basis.shape[1]} samples; "
        "more samples would lower its bias."
        for name, space in state.spaces.items()
        if isinstance(space, SampledSpace) and sizes[name] > space.basis.shape[1] / CROWDED
    ]
