"""Events found by the integrator itself: on the interpolant of every step that it accepts.

So that they depend neither on the duration of a run nor on the times that are saved.
"""

from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from orderparam.online.theory.events import EVENTS, Levels, distances
from orderparam.online.theory.flow import Rule
from orderparam.online.theory.modes import Modes
from orderparam.online.theory.moments import Fixed

_PIECES = 8
"""Parts of a step between which a level is looked for."""

_HALVINGS = 50

_PLATEAU, _ESCAPE = EVENTS.index("plateau_time"), EVENTS.index("escape_time")


class Seen(eqx.Module):
    """Where each event happened: part of a step, and what interpolates in it; NaN before the event.

    Args:
        low: Start of the part.
        high: Its end; the same as `low` for what holds from the start.
        start: Start of the step.
        end: End of the step.
        inside: What the integrator interpolates the step with.
    """

    low: Float[Array, " event"]
    high: Float[Array, " event"]
    start: Float[Array, " event"]
    end: Float[Array, " event"]
    inside: Any


class Watched(diffrax.AbstractAdaptiveSolver):
    """An integrator that keeps, in its own state, the step in which each event happened.

    Args:
        solver: What integrates.
        levels: Levels of the events.
        fixed: Teacher and constants.
        rule: Training rule.
        modes: What turns the unknowns into overlaps, where they are singular modes.
        known: Times of the events of an earlier part of the run, NaN for what is still to come.
    """

    solver: diffrax.AbstractSolver
    levels: Levels
    fixed: Fixed
    rule: Rule
    modes: Modes | None
    known: Float[Array, " event"]

    @property
    def term_structure(self) -> Any:  # type: ignore[override]
        """That of the integrator."""
        return self.solver.term_structure

    @property
    def interpolation_cls(self) -> Any:  # type: ignore[override]
        """That of the integrator."""
        return self.solver.interpolation_cls

    def order(self, terms: Any) -> int | None:
        """That of the integrator."""
        return self.solver.order(terms)

    def init(self, terms: Any, t0: Any, t1: Any, y0: Any, args: Any) -> tuple[Any, Seen]:
        """The integrator's state, and no event yet."""
        own = self.solver.init(terms, t0, t1, y0, args)
        shape: Any = eqx.filter_eval_shape(
            self.solver.step, terms, t0, t1, y0, args, own, made_jump=False
        )[2]
        inside = jax.tree.map(lambda leaf: jnp.zeros((len(EVENTS), *leaf.shape)), shape)
        unknown = jnp.full(len(EVENTS), jnp.nan)
        return own, Seen(unknown, unknown, unknown, unknown, inside)

    def step(
        self, terms: Any, t0: Any, t1: Any, y0: Any, args: Any, solver_state: Any, made_jump: Any
    ) -> tuple[Any, Any, Any, Any, diffrax.RESULTS]:
        """A step of the integrator, and the events inside it; forgotten if it is rejected."""
        own, seen = solver_state
        y1, error, inside, own, result = self.solver.step(terms, t0, t1, y0, args, own, made_jump)
        return y1, error, inside, (own, self._updated(seen, t0, t1, inside)), result

    def func(self, terms: Any, t0: Any, y0: Any, args: Any) -> Any:
        """That of the integrator."""
        return self.solver.func(terms, t0, y0, args)

    def _updated(self, seen: Seen, t0: Any, t1: Any, inside: Any) -> Seen:
        at = t0 + (t1 - t0) * jnp.linspace(0.0, 1.0, _PIECES + 1)
        reached = jax.vmap(lambda t: self._distances(t0, t1, inside, t))(at) <= 0
        # Escape counts only once the plateau has been entered.
        entered = jnp.where(reached[:, _PLATEAU], at, jnp.inf).min()
        for earlier in (seen.high[_PLATEAU], self.known[_PLATEAU]):
            entered = jnp.where(jnp.isnan(earlier), entered, earlier)
        reached = reached.at[:, _ESCAPE].set(reached[:, _ESCAPE] & (at >= entered))
        first = jnp.argmax(reached, axis=0)
        step = jax.tree.map(
            lambda leaf: jnp.broadcast_to(leaf, (len(EVENTS), *jnp.shape(leaf))), (t0, t1, inside)
        )
        fresh = jnp.isnan(seen.high) & reached.any(axis=0)
        return jax.tree.map(
            lambda new, old: jnp.where(fresh.reshape(-1, *(1,) * (new.ndim - 1)), new, old),
            Seen(at[jnp.maximum(first - 1, 0)], at[first], *step),
            seen,
        )

    def _distances(self, t0: Any, t1: Any, inside: Any, t: Any) -> Float[Array, " event"]:
        state = self.interpolation_cls(t0=t0, t1=t1, **inside).evaluate(t)
        state = state if self.modes is None else self.modes.single(state)
        return distances(state, self.fixed, self.rule, self.levels)

    def times(self, seen: Seen) -> Float[Array, " event"]:
        """Times of the events, by bisection on the interpolants; NaN for what did not happen."""

        def refined(index: Array, seen: Seen) -> Array:
            def halve(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
                middle = (ends[0] + ends[1]) / 2
                distance = self._distances(seen.start, seen.end, seen.inside, middle)[index]
                low = jnp.where(distance > 0, middle, ends[0])
                return low, jnp.where(distance > 0, ends[1], middle)

            return jax.lax.fori_loop(0, _HALVINGS, halve, (seen.low, seen.high))[1]

        found = jax.vmap(refined)(jnp.arange(len(EVENTS)), seen)
        return jnp.where(jnp.isnan(self.known), found, self.known)
