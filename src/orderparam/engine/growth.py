"""The bookkeeping of a state: growing its histories, how full they are, how orthogonal."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from orderparam.engine.exact import ExactSpace
from orderparam.engine.history import History
from orderparam.engine.matrix import GaussianMatrix
from orderparam.engine.sampled import SampledSpace
from orderparam.engine.space import KnownSpace
from orderparam.engine.state import State
from orderparam.errors import CapacityExceeded

LIMIT = 4
"""A sampled space may know at most samples / LIMIT vectors."""

CROWDED = 20
"""Above samples / CROWDED known vectors the diagnostics carry a note."""


def overflowed(state: State) -> Bool[Array, ""]:
    """Whether any history, basis or pool of normals ran out of room."""
    flags = [s.overflow for s in state.spaces.values() if isinstance(s, KnownSpace)]
    for matrix in state.matrices.values():
        if isinstance(matrix, GaussianMatrix):
            flags += [matrix.forward.overflow, matrix.backward.overflow]
    return jnp.any(jnp.stack(flags)) if flags else jnp.asarray(np.asarray(False))


def grown(state: State) -> State:
    """The same state with twice the room in every space and history (host side)."""
    spaces = {name: space.grow() for name, space in state.spaces.items()}
    matrices = {}
    for name, matrix in state.matrices.items():
        capacity = 2 * matrix.forward.basis.shape[0]
        n, m = spaces[matrix.row].capacity, spaces[matrix.column].capacity

        def pad(c: Array, capacity: int = capacity) -> Array:
            more = capacity - c.shape[0]
            return jnp.pad(c, ((0, more), (0, more), (0, 0)))

        new = (
            matrix.forward.grow(capacity, m, n),
            matrix.backward.grow(capacity, n, m),
            pad(matrix.trained),
            (matrix.velocity[0], pad(matrix.velocity[1])),
        )
        parts = lambda s: (s.forward, s.backward, s.trained, s.velocity)  # noqa: E731
        matrices[name] = eqx.tree_at(parts, matrix, new)
    vectors = {}
    for name, x in state.vectors.items():
        home = state.homes[name]
        # In an exact space a vector is its coordinates, so it grows with the space.
        more = 0
        if home is not None and isinstance(spaces[home], ExactSpace):
            more = spaces[home].capacity - state.spaces[home].capacity
        vectors[name] = jnp.pad(x, ((0, 0), (0, more)))
    return State(spaces, matrices, vectors, state.homes)


def known(state: State) -> dict[str, int]:
    """Number of vectors known in each conditioned space."""
    return {
        name: int(space.size)
        for name, space in state.spaces.items()
        if isinstance(space, KnownSpace)
    }


def ranks(state: State) -> dict[str, tuple[int, int]]:
    """Ranks (r_x, r_y) of the history of each conditioned matrix."""
    return {
        name: (int(m.forward.rank), int(m.backward.rank))
        for name, m in state.matrices.items()
        if isinstance(m, GaussianMatrix)
    }


def dropped(state: State) -> float:
    """Largest relative squared norm of a direction that was left out of a history."""
    return max((float(h.dropped) for h in _histories(state)), default=0.0)


def missing(state: State) -> float:
    """Largest part of the squared norm of a block of vectors that its history leaves out."""
    return max((float(h.missing) for h in _histories(state)), default=0.0)


def _histories(state: State) -> list[History]:
    matrices = [m for m in state.matrices.values() if isinstance(m, GaussianMatrix)]
    return [history for m in matrices for history in (m.forward, m.backward)]


def orthogonality_loss(state: State) -> float:
    """Largest deviation of the bases' Gram matrices from the identity."""
    worst = 0.0
    for space in state.spaces.values():
        if isinstance(space, SampledSpace):
            rows = np.asarray(space.basis)[: int(space.size)]
            gram = rows @ rows.T / rows.shape[1]
            worst = max(worst, float(np.max(np.abs(gram - np.eye(len(rows))))))
    for history in _histories(state):
        rows = np.asarray(history.basis)[: int(history.rank)]
        gap = np.abs(rows @ rows.T - np.eye(len(rows)))
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
