"""Adaptive steps of many trajectories side by side, each with steps of its own.

The sizes of the steps are those of Diffrax. Its own loop is for one trajectory; run for many at
once it writes their states at the saved times one by one, which takes longer than all the steps.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from orderparam.online.theory.runge_kutta import Explicit, Field, Implicit, Piece, Rows, term
from orderparam.online.theory.saving import Log, begun, flushed, noted
from orderparam.online.theory.watch import Seen, Watch
from orderparam.support.plain_methods import PlainMethods

_ROUNDINGS = 100 * np.finfo(float).eps


class Lanes(NamedTuple):
    """Where trajectories stand: last accepted times and states, and the ends of the next steps."""

    at: Float[Array, " lane"]
    to: Float[Array, " lane"]
    rows: Rows
    kept: Any
    sizes: Any
    jumped: Bool[Array, " lane"]
    steps: Int[Array, " lane"]
    busy: Bool[Array, " lane"]
    blown_up: Bool[Array, " lane"]


class Course(PlainMethods, eqx.Module):
    """What all trajectories have in common.

    Args:
        field: Velocity.
        size: Size of a state, which tells a blow-up.
        watch: Events to look for.
        solver: What makes the steps.
        controller: Their sizes, by Diffrax.
        end: Last time.
        limit: Steps after which a trajectory is given up.
    """

    field: Field = eqx.field(static=True)
    size: Callable[[Any], Array] = eqx.field(static=True)
    watch: Watch | None
    solver: Explicit | Implicit
    controller: Any
    end: Float[Array, ""]
    limit: int = eqx.field(static=True)

    def begin(self, at: Array, rows: Rows, own: Any, busy: Array) -> Lanes:
        """Before the first step."""

        def first(at: Array, row: Array, own: Any) -> tuple[Array, Any]:
            law, order = term(self.field), self.solver.order()
            func = lambda law, t, y, args: law.vf(t, y, args)  # noqa: E731
            return self.controller.init(law, at, self.end, row, None, own, func, order)

        to, sizes = jax.vmap(first)(at, rows, own)
        to = jnp.minimum(to, self.end)
        kept = self.solver.begin(self.field, at, to, rows, own)
        calm, none = jnp.zeros(len(at), bool), jnp.zeros(len(at), int)
        return Lanes(at, to, rows, kept, sizes, calm, none, busy & (at < self.end), calm)

    def step(self, lanes: Lanes, own: Any, largest: Array) -> tuple[Lanes, Array, Piece]:
        """A step of each; which were accepted, and what interpolates in them."""
        new, error, inside, kept = self.solver.step(
            self.field, lanes.at, lanes.to, lanes.rows, own, lanes.kept, lanes.jumped.any()
        )
        error = jnp.where(jnp.isnan(error), jnp.inf, error)
        keep, at, to, jumped, sizes = jax.vmap(self._sized)(lanes, new, error)
        at, keep = jnp.minimum(at, self.end), keep & lanes.busy
        # A step that ends some roundings before the end would leave one without length.
        last = to > self.end - _ROUNDINGS * jnp.abs(self.end)
        to = jnp.where(last, jnp.where(keep, self.end, (at + self.end) / 2), to)
        rows, kept = _chosen(keep, (new, kept), (lanes.rows, lanes.kept))
        blown = ~(jax.vmap(self.size)(rows) < largest)
        steps = lanes.steps + 1
        busy = (at < self.end) & (steps < self.limit) & ~blown
        jumped = jnp.where(keep, jumped, lanes.jumped)
        after = Lanes(at, to, rows, kept, sizes, jumped, steps, busy, blown)
        return _chosen(lanes.busy, after, lanes), keep, inside

    def _sized(self, lane: Lanes, new: Array, error: Array) -> tuple[Any, ...]:
        """Whether the step of one trajectory is accepted, and the next one."""
        keep, at, to, jumped, sizes, _ = self.controller.adapt_step_size(
            lane.at, lane.to, lane.rows, new, None, error, self.solver.order(), lane.sizes
        )
        return keep, at, to, jnp.asarray(jumped), sizes


def march(
    course: Course,
    begin: Float[Array, " lane"],
    rows: Rows,
    own: Any,
    busy: Bool[Array, " lane"],
    largest: Float[Array, " lane"],
    times: Float[Array, "lane time"],
    known: Float[Array, "lane event"],
) -> tuple[Lanes, Float[Array, "lane time number"], Float[Array, "lane event"]]:
    """Integrate side by side until all have ended.

    Args:
        course: What they have in common.
        begin: First times.
        rows: First states.
        own: Constants of each trajectory.
        busy: Which there are to integrate.
        largest: Size of a state above which it has blown up.
        times: Ascending times to save.
        known: Times of events before `begin`.

    Returns:
        Where they end, the states at the times (infinite where none was reached), and the times of
        the events.
    """
    watch, lanes = course.watch, course.begin(begin, rows, own, busy)
    _, _, inside = jax.eval_shape(course.step, lanes, own, largest)
    seen = None if watch is None else watch.nothing(inside)

    def body(carry: tuple[Lanes, Log, Seen | None]) -> tuple[Lanes, Log, Seen | None]:
        lanes, log, seen = carry
        new, keep, inside = course.step(lanes, own, largest)
        if watch is not None and seen is not None:
            seen = watch.updated(seen, keep, inside, own, known)
        return new, noted(log, inside, jnp.where(keep, lanes.to, -jnp.inf), times), seen

    first = lanes, begun(rows, times), seen
    lanes, log, seen = lax.while_loop(lambda carry: carry[0].busy.any(), body, first)
    events = known if watch is None or seen is None else watch.times(seen, own, known)
    return lanes, flushed(log, times).saved, events


def _chosen(mask: Bool[Array, " lane"], new: Any, old: Any) -> Any:
    """The new parts of some trajectories, the old ones of the others."""

    def one(new: Array, old: Array) -> Array:
        return jnp.where(mask.reshape(-1, *(1,) * (new.ndim - 1)), new, old)

    return jax.tree.map(one, new, old)
