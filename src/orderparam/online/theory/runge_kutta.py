"""Steps of Runge-Kutta for many trajectories side by side, with what interpolates in them.

States are rows of numbers, one row a trajectory. Each step belongs to a time and a length of the
trajectory's own.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float

from orderparam.support.later import diffrax
from orderparam.support.plain_methods import PlainMethods

Rows = Float[Array, "lane number"]
Times = Float[Array, " lane"]
Field = Callable[[Any, Any, Any], Float[Array, " number"]]
"""Velocity of one trajectory, of its time, its numbers and its own constants."""


class Piece(NamedTuple):
    """Polynomials that interpolate within a step of each trajectory.

    Attributes:
        start: Starts of the steps.
        end: Their ends.
        powers: Coefficients of the powers of the time, from 0 to 1 in a step, highest first.
    """

    start: Float[Array, "*lane"]
    end: Float[Array, "*lane"]
    powers: Float[Array, "power *lane number"]

    def at(self, times: Float[Array, "*time lane"]) -> Float[Array, "*time lane number"]:
        """States at times in the steps."""
        since = ((times - self.start) / (self.end - self.start))[..., None]
        value = self.powers[0] * jnp.ones_like(since)
        for power in self.powers[1:]:
            value = value * since + power
        return value


class Stepped(NamedTuple):
    """A step that may yet be refused: its end, its error, its inside, what the next one needs."""

    rows: Rows
    error: Rows
    inside: Piece
    kept: Any


class Explicit(PlainMethods, eqx.Module):
    """The method of Dormand and Prince of order 8, with the numbers that Diffrax has for it."""

    def order(self) -> float:
        """Order of the method."""
        return 8.0

    def begin(self, field: Field, at: Times, to: Times, rows: Rows, own: Any) -> Rows:
        """The velocity, which the last stage of every step leaves for the next one."""
        del to
        return jax.vmap(field)(at, rows, own)

    def step(
        self,
        field: Field,
        at: Times,
        to: Times,
        rows: Rows,
        own: Any,
        kept: Rows,
        jumped: Bool[Array, ""],
    ) -> Stepped:
        """One step; after a jump of the velocity its first stage is computed anew."""
        lower, parts, wrong, inner = _tables()
        length, velocities, stages = (to - at)[:, None], jax.vmap(field), len(wrong)
        first = lax.cond(jumped, lambda: velocities(at, rows, own), lambda: kept)
        slopes = jnp.zeros((stages, *rows.shape)).at[0].set(first)

        def stage(index: Array, carry: tuple[Array, Rows]) -> tuple[Array, Rows]:
            slopes, _ = carry
            here = rows + length * jnp.tensordot(lower[index], slopes, 1)
            part = parts[index]
            time = jnp.where(part == 1, to, at + part * (to - at))  # never beyond a jump
            slope = velocities(time, here, own)
            return lax.dynamic_update_index_in_dim(slopes, slope, index + 1, 0), here

        slopes, new = lax.fori_loop(0, stages - 1, stage, (slopes, rows))
        error = length * jnp.tensordot(wrong, slopes, 1)
        powers = length * jnp.tensordot(inner, slopes, 1)
        inside = Piece(at, to, jnp.concatenate([powers, rows[None]]))
        return Stepped(new, error, inside, slopes[-1])


def _tables() -> tuple[Array, Array, Array, Array]:
    """Weights of the slopes in each stage, times of the stages, weights of error and inside."""
    method: Any = diffrax.Dopri8
    table = method.tableau
    lower = np.zeros((len(table.c), len(table.b_sol)))
    for row, part in zip(lower, table.a_lower, strict=True):
        row[: len(part)] = part
    tables = (lower, table.c, table.b_error, method.interpolation_cls.eval_coeffs.T)
    lower, parts, wrong, inner = (jnp.asarray(part) for part in tables)
    return lower, parts, wrong, inner


class Implicit(PlainMethods, eqx.Module):
    """The method of Kvaerno of order 5, for rests that explicit steps take too many for.

    Args:
        rtol: Relative tolerance of the equations of a step.
        atol: Absolute tolerance of these.
    """

    rtol: Any
    atol: Any

    def order(self) -> float:
        """Order of the method."""
        return 5.0

    def _solver(self) -> Any:
        roots = diffrax.VeryChord(rtol=self.rtol, atol=self.atol)
        return diffrax.Kvaerno5(root_finder=roots, scan_kind="lax")

    def begin(self, field: Field, at: Times, to: Times, rows: Rows, own: Any) -> Any:
        """What Diffrax keeps from step to step."""
        return jax.vmap(lambda *given: self._solver().init(term(field), *given))(at, to, rows, own)

    def step(
        self,
        field: Field,
        at: Times,
        to: Times,
        rows: Rows,
        own: Any,
        kept: Any,
        jumped: Bool[Array, ""],
    ) -> Stepped:
        """One step, by Newton's method for each trajectory."""

        def one(at: Array, to: Array, row: Array, own: Any, kept: Any) -> tuple[Any, ...]:
            solver = self._solver()
            new, error, inside, kept, _ = solver.step(
                term(field), at, to, row, own, kept, made_jump=jumped
            )
            return new, error, solver.interpolation_cls(t0=at, t1=to, **inside).coeffs, kept

        new, error, powers, kept = jax.vmap(one, out_axes=(0, 0, 1, 0))(at, to, rows, own, kept)
        return Stepped(new, error, Piece(at, to, powers), kept)


def term(field: Field) -> Any:
    """The velocity as Diffrax takes it."""
    return diffrax.ODETerm(field)
