"""How the learning rate changes in time: a factor, as a piecewise polynomial."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from orderparam.errors import InvalidProblem
from orderparam.support.arguments import one_line, one_of, refuse
from orderparam.support.arrays import array
from orderparam.support.keywords import KnownKeywords
from orderparam.support.later import interpolate
from orderparam.support.plain_methods import PlainMethods

_READ = 1025
"""Evenly spaced times at which a function is read."""


class RateSchedule(KnownKeywords, PlainMethods, eqx.Module):
    """Factors of the learning rate over the duration of a run.

    Args:
        values: Factors of at least 0.
        kind: `"parts"`: one constant factor for each of as many equal parts of the duration;
            `"curve"`: factors at evenly spaced times, first and last included, joined by a monotone
            cubic (PCHIP), which overshoots nowhere.

    Raises:
        InvalidProblem: If a factor is negative or not finite, or a curve has fewer than two.
    """

    values: Float[np.ndarray, " value"]
    kind: str = eqx.field(static=True)

    def __init__(self, values: Any, kind: str = "parts") -> None:
        self.values = array("values", values, (1,), "give one number for each part")
        self.kind = one_of("kind", kind, ("parts", "curve"))
        least = 1 if self.kind == "parts" else 2
        if self.values.size < least or (self.values < 0).any():
            raise InvalidProblem(
                f"Argument `values` must hold factors of at least 0, {least} or more of them, but "
                f"has {self.values.size}, the smallest {self.values.min(initial=np.inf):g}; "
                "change it."
            )

    def polynomial(self, duration: float) -> "interpolate.PPoly":
        """The factor as a function of time, right-continuous where it jumps."""
        if self.kind == "curve":
            return interpolate.PchipInterpolator(
                np.linspace(0.0, duration, len(self.values)), self.values
            )
        return interpolate.PPoly(
            self.values[None], np.linspace(0.0, duration, len(self.values) + 1)
        )

    def integral(
        self, duration: float, times: Float[np.ndarray, " time"]
    ) -> Float[np.ndarray, " time"]:
        """Integral of the factor from 0 to each time: the time of gradient flow over eta."""
        return self.polynomial(duration).antiderivative()(array("times", times))

    def config(self) -> dict[str, Any]:
        """The schedule as plain JSON values."""
        return {"kind": self.kind, "values": self.values.tolist()}


Schedule = (
    Sequence[float]
    | np.ndarray
    | Callable[[float], float]
    | RateSchedule
    | Mapping[str, Any]
    | None
)


def schedule_of(schedule: Any, duration: float) -> RateSchedule | None:
    """A schedule from numbers, a function of the time or a mapping as `config` gives.

    Raises:
        InvalidProblem: If it does not give finite factors of at least 0.
    """
    if schedule is None or isinstance(schedule, RateSchedule):
        return schedule
    if isinstance(schedule, Mapping):
        if set(schedule) != {"values", "kind"}:
            allowed = "numbers, a function of the time, or a mapping with `values` and `kind`"
            raise refuse("schedule", schedule, allowed)
        return RateSchedule(schedule["values"], schedule["kind"])
    if not callable(schedule):
        return RateSchedule(_factors(schedule))
    function: Callable[[float], Any] = schedule
    try:
        read = [function(t) for t in np.linspace(0.0, duration, _READ).tolist()]
    except Exception as error:
        raise InvalidProblem(
            "Argument `schedule` must give a finite factor of at least 0 for each time from 0 to "
            f"{duration:g}, but the function failed ({type(error).__name__}: {one_line(error)}); "
            "change it."
        ) from error
    return RateSchedule(_factors(read), "curve")


def _factors(values: Any) -> Float[np.ndarray, " value"]:
    """Factors that a problem was given, checked under the name that they have there."""
    found = array("schedule", values, (1,), "give one number for each part")
    if found.size == 0 or (found < 0).any():
        raise refuse("schedule", values, "one or more factors of at least 0")
    return found


class RateFactor(KnownKeywords, PlainMethods, eqx.Module):
    """The factor inside compiled programs.

    Args:
        edges: Ends of the pieces, from 0 to the duration.
        table: Coefficients of each piece in powers of the time since its start, highest first.
        jumps: Times at which the factor jumps.
    """

    edges: Float[Any, " edge"]
    table: Float[Any, "piece power"]
    jumps: Float[Any, " jump"]

    def __call__(self, t: Any) -> Float[Array, ""]:
        """The factor at time t."""
        piece = jnp.searchsorted(self.edges[1:-1], t, side="right")
        since, value = t - self.edges[piece], jnp.zeros_like(self.table[0, 0])
        for power in range(self.table.shape[1]):
            value = value * since + self.table[piece, power]
        return value


def factor_of(
    schedule: RateSchedule | None, duration: float, precision: str = "float64"
) -> RateFactor | None:
    """The factor of the learning rate in a run; `None` where it is constant."""
    if schedule is None:
        return None
    polynomial = schedule.polynomial(duration)
    jumps = np.zeros(0)
    if schedule.kind == "parts":
        jumps = polynomial.x[1:-1][np.diff(schedule.values) != 0]
    parts = (polynomial.x, polynomial.c.T, jumps)
    return RateFactor(*(np.asarray(part, precision) for part in parts))
