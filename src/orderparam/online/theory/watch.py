"""Events found on the interpolants of accepted steps.

So that they depend neither on the duration of a run nor on the times that are saved.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from orderparam.online.theory.events import EVENTS
from orderparam.online.theory.runge_kutta import Piece
from orderparam.support.plain_methods import PlainMethods

_PIECES = 8
"""Parts of a step between which a level is looked for."""

_HALVINGS = 50

_PLATEAU, _ESCAPE = EVENTS.index("plateau_time"), EVENTS.index("escape_time")


class Seen(NamedTuple):
    """Where each event happened: part of a step, and what interpolates in it; NaN before the event.

    Args:
        low: Start of the part.
        high: Its end; the same as `low` for what holds from the start.
        inside: What the integrator interpolates the step with.
    """

    low: Float[Array, "lane event"]
    high: Float[Array, "lane event"]
    inside: Piece


class Watch(PlainMethods, eqx.Module):
    """What to look for.

    Args:
        distances: From the numbers of one trajectory and its own constants to one number for each
            event, positive before it, that falls through zero at it.
    """

    distances: Callable[[Any, Any], Float[Array, " event"]] = eqx.field(static=True)

    def nothing(self, inside: Piece) -> Seen:
        """No event yet; `inside` has the shapes of the interpolants of all lanes."""
        shape = (*inside.start.shape, len(EVENTS))
        powers, _, width = inside.powers.shape
        unknown, blank = jnp.full(shape, jnp.nan), jnp.zeros((powers, *shape, width))
        return Seen(unknown, unknown, Piece(unknown, unknown, blank))

    def updated(
        self,
        seen: Seen,
        keep: Bool[Array, " lane"],
        inside: Piece,
        own: Any,
        known: Float[Array, "lane event"],
    ) -> Seen:
        """The same with the events inside the steps that were accepted."""
        parts = jnp.linspace(0.0, 1.0, _PIECES + 1)[:, None]
        at = inside.start + (inside.end - inside.start) * parts
        each = jax.vmap(jax.vmap(self.distances), (0, None))
        reached = each(inside.at(at), own) <= 0
        # Escape counts only once the plateau has been entered.
        entered = jnp.where(reached[..., _PLATEAU], at, jnp.inf).min(axis=0)
        for earlier in (seen.high[:, _PLATEAU], known[:, _PLATEAU]):
            entered = jnp.where(jnp.isnan(earlier), entered, earlier)
        escaped = reached[..., _ESCAPE] & (at >= entered)
        reached = reached.at[..., _ESCAPE].set(escaped)
        first = jnp.argmax(reached, axis=0)
        fresh = keep[:, None] & jnp.isnan(seen.high) & reached.any(axis=0)

        def store(seen: Seen) -> Seen:
            places = (jnp.maximum(first - 1, 0), first)
            low, high = (jnp.take_along_axis(at.T, place, axis=1) for place in places)
            own = Piece(inside.start[:, None], inside.end[:, None], inside.powers[:, :, None])
            parts = (low, high, own.start, own.end)
            old = (seen.low, seen.high, seen.inside.start, seen.inside.end)
            low, high, start, end = (
                jnp.where(fresh, a, b) for a, b in zip(parts, old, strict=True)
            )
            powers = jnp.where(fresh[..., None], own.powers, seen.inside.powers)
            return Seen(low, high, Piece(start, end, powers))

        return lax.cond(fresh.any(), store, lambda seen: seen, seen)

    def times(
        self, seen: Seen, own: Any, known: Float[Array, "lane event"]
    ) -> Float[Array, "lane event"]:
        """Times of the events, by bisection on the interpolants; NaN for what did not happen."""
        every = jax.vmap(jax.vmap(self.distances, (0, None)))

        def halve(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
            middle = (ends[0] + ends[1]) / 2
            distances = jnp.diagonal(every(seen.inside.at(middle), own), axis1=1, axis2=2)
            low = jnp.where(distances > 0, middle, ends[0])
            return low, jnp.where(distances > 0, ends[1], middle)

        found = lax.fori_loop(0, _HALVINGS, halve, (seen.low, seen.high))[1]
        return jnp.where(jnp.isnan(known), found, known)
