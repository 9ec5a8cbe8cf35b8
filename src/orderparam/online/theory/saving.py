"""States at given times, of many trajectories that pass these times at steps of their own.

Compilers for processors write to a place of its own for each trajectory one by one. So a few
states at a time are noted in order, all trajectories side by side, and sorted by time later.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from orderparam.online.theory.runge_kutta import Piece, Rows

_FEW = 8
"""Times in a note."""

_NOTES = 32
"""Notes that are kept before they are sorted."""


class Log(NamedTuple):
    """What was noted.

    Attributes:
        saved: States by time, infinite where none is known yet.
        numbers: Notes: states of each lane at a few of its times.
        first: Place of the first of these times.
        done: Number of times that each lane has passed.
        notes: Number of notes.
    """

    saved: Float[Array, "lane time number"]
    numbers: Float[Array, "note few lane number"]
    first: Int[Array, "note lane"]
    done: Int[Array, " lane"]
    notes: Int[Array, ""]


def begun(rows: Rows, times: Float[Array, "lane time"]) -> Log:
    """Nothing noted."""
    lanes, width = rows.shape
    return Log(
        jnp.full((*times.shape, width), jnp.inf),
        jnp.zeros((_NOTES, _FEW, lanes, width)),
        jnp.zeros((_NOTES, lanes), int),
        jnp.zeros(lanes, int),
        jnp.asarray(0),
    )


def noted(
    log: Log, inside: Piece, until: Float[Array, " lane"], times: Float[Array, "lane time"]
) -> Log:
    """Note all states up to the times `until`, by the interpolants that reach them."""
    passed = jnp.maximum(jnp.sum(times <= until[:, None], axis=1), log.done)

    def note(log: Log) -> Log:
        log = lax.cond(log.notes == _NOTES, lambda log: flushed(log, times), lambda log: log, log)
        place = jnp.minimum(log.done[:, None] + jnp.arange(_FEW), times.shape[1] - 1)
        new = inside.at(jnp.take_along_axis(times, place, axis=1).T)
        return log._replace(
            numbers=lax.dynamic_update_index_in_dim(log.numbers, new, log.notes, 0),
            first=lax.dynamic_update_index_in_dim(log.first, log.done, log.notes, 0),
            done=jnp.minimum(log.done + _FEW, passed),
            notes=log.notes + 1,
        )

    return lax.while_loop(lambda log: jnp.any(log.done < passed), note, log)


def flushed(log: Log, times: Float[Array, "lane time"]) -> Log:
    """Sort the notes by time.

    A time belongs to the last note that begins at it or earlier; notes of lanes that had nothing
    to note begin where the next one does.
    """
    lanes, place = jnp.arange(times.shape[0])[:, None], jnp.arange(times.shape[1])
    used = jnp.arange(_NOTES)[:, None] < log.notes
    begins = jnp.where(used, log.first, times.shape[1])
    note = jnp.sum(begins[:, :, None] <= place, axis=0) - 1
    since = place - jnp.take_along_axis(begins.T, jnp.maximum(note, 0), axis=1)
    fresh = (note >= 0) & (since < _FEW) & (place < log.done[:, None])
    found = log.numbers[jnp.maximum(note, 0), jnp.clip(since, 0, _FEW - 1), lanes]
    saved = jnp.where(fresh[:, :, None], found, log.saved)
    return log._replace(saved=saved, notes=jnp.zeros_like(log.notes))
