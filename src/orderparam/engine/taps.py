"""Which vectors the blocks of a matrix look at: the wiring of a convolution and its adjoint.

A matrix of b blocks acts on groups of A vectors ("positions"). Row a of the result is

    (W x)_a = sum_beta W_beta x_{taps[beta][a]}

with independent matrices `W_beta`; an entry -1 leaves a block out. No block uses a position twice,
so the transpose has taps of its own.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from orderparam.errors import InvalidProblem

Taps = tuple[tuple[int, ...], ...]

PLAIN: Taps = ((0,),)
"""One block that acts on each vector alone: an ordinary matrix."""


def checked(taps: Sequence[Sequence[int]]) -> Taps:
    """Taps as a hashable value.

    Raises:
        InvalidProblem: If they are no b x A table of positions that each block uses at most once.
    """
    rows = tuple(tuple(int(position) for position in row) for row in taps)
    count = len(rows[0]) if rows else 0
    for row in rows or ((),):
        used = [position for position in row if position >= 0]
        inside = all(-1 <= position < count for position in row)
        if not (count and len(row) == count and inside and len(set(used)) == len(used)):
            raise InvalidProblem(
                "Argument `taps` must have one row per block, all of one length A >= 1, with "
                "distinct positions from 0 to A - 1, or -1 for none; but one row is "
                f"{list(row)[:8]}."
            )
    return rows


def adjoint(taps: Taps) -> Taps:
    """The taps of the transpose: who looks at each position."""
    table = np.full((len(taps), len(taps[0])), -1)
    for block, row in enumerate(taps):
        for a, position in enumerate(row):
            if position >= 0:
                table[block, position] = a
    return tuple(map(tuple, table.tolist()))


def gathered(z: Float[Array, "k r block"], taps: Taps) -> Float[Array, "k r blocks"]:
    """For each row and block the entry of `z` at the position where that block looks.

    Rows of `z` are groups of A positions; its last axis has one entry for all blocks, or one each.
    """
    if taps == PLAIN:
        return z
    k, r, given = z.shape
    groups = z.reshape(k // len(taps[0]), len(taps[0]), r, given)
    # Position -1, the last one, is empty.
    groups = jnp.pad(groups, ((0, 0), (0, 1), (0, 0), (0, 0)))
    parts = [groups[..., min(b, given - 1)][:, np.asarray(row)] for b, row in enumerate(taps)]
    return jnp.stack(parts, axis=-1).reshape(k, r, len(taps))
