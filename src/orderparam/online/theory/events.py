"""When a trajectory learns its norms, enters the plateau, leaves it, and converges."""

import contextlib
import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from orderparam.errors import UnsupportedCombination
from orderparam.online.problem import TeacherStudent
from orderparam.online.theory.flow import Rule, moments
from orderparam.online.theory.isotropic import isotropic
from orderparam.online.theory.moments import Fixed, State

EVENTS = ("norm_time", "plateau_time", "escape_time", "convergence_time")


class Levels(eqx.Module):
    """Levels of the events.

    Args:
        trace: tr Q on the plateau.
        plateau: Loss on the plateau.
        final: Loss that the run tends to.
        margin: delta, the relative distance at which the plateau is entered and left.
        rest: Share of the plateau's height above `final` at which the run has converged.
    """

    trace: Float[Any, ""]
    plateau: Float[Any, ""]
    final: Float[Any, ""]
    margin: Float[Any, ""]
    rest: Float[Any, ""]


def levels_of(
    problem: TeacherStudent, sgd_noise: bool, margin: float, rest: float
) -> tuple[Levels | None, bool]:
    """The levels, and whether there is a known plateau; without one no event ever happens.

    Programs of the quadratic activation take levels always, so that they are shared; `None` is
    for those that never have any.
    """
    if problem.activation != "quadratic" or problem.spectrum is not None:
        return None, False
    values, known = (math.nan,) * 3, False
    with contextlib.suppress(UnsupportedCombination):
        numbers = isotropic(problem, sgd_noise=sgd_noise)
        norm = numbers.p * numbers.plateau_norm()
        values = (norm, numbers.plateau_loss(), numbers.final_loss())
        known = all(map(math.isfinite, values))
    return Levels(*(np.asarray(value) for value in (*values, margin, rest))), known


def distances(state: State, fixed: Fixed, rule: Rule, levels: Levels) -> Float[Array, " event"]:
    """For each of `EVENTS` a number that is positive before it and falls through zero at it."""
    loss = moments(state, fixed, rule.activation).loss
    height = levels.plateau - levels.final
    return jnp.stack([
        jnp.abs(jnp.trace(state.Q) / levels.trace - 1) - levels.margin,
        jnp.abs(loss / levels.plateau - 1) - levels.margin,
        loss - (1 - levels.margin) * levels.plateau,
        loss - levels.final - levels.rest * height,
    ])  # fmt: skip
