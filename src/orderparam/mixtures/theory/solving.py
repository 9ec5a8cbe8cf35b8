"""The one program that solves the points of a problem.

It takes them one after another, as many as are asked for, so that it serves one and many alike and
no point waits for another.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from orderparam.mixtures.model.spectrum import Full
from orderparam.mixtures.theory.equations import Overlaps, Point, Setup
from orderparam.mixtures.theory.fixed_point import iterate
from orderparam.mixtures.theory.observables import Averages, averages
from orderparam.mixtures.theory.rules import Rules, rules_of
from orderparam.support.programs import program

BATCH = 64
"""Points of one call of the compiled program."""


class Ends(NamedTuple):
    """Where points ended, and what follows from them.

    Attributes:
        packed: The overlaps as `pack` makes them.
        residual: Residual of the equations there.
        evaluations: Evaluations of the equations.
        overlaps: The overlaps.
        averages: What follows from them by quadrature.
        error: Residual by the refined rule.
    """

    packed: Float[Any, "point unknown"]
    residual: Float[Any, " point"]
    evaluations: Int[Any, " point"]
    overlaps: Overlaps
    averages: Averages
    error: Float[Any, " point"]


def batch_size(setup: Setup) -> int:
    """Points of a call: one where a factorisation outweighs everything else."""
    return 1 if isinstance(setup.spectrum, Full) else BATCH


def solved_points(
    setup: Setup,
    nodes: int,
    alphas: Float[np.ndarray, " point"],
    strengths: Float[np.ndarray, " point"],
    starts: Float[np.ndarray, "point unknown"],
    tolerance: float,
    most: int,
) -> Ends:
    """Iterate some points from the given starts, and evaluate where they end.

    With `most = 1` the starts themselves are evaluated.
    """
    count, room = len(alphas), batch_size(setup)
    rules = rules_of(setup.codes.shape[1], nodes)

    def held(part: np.ndarray) -> np.ndarray:
        return np.concatenate([part, np.zeros((room - count, *part.shape[1:]))])

    points = Point(held(np.asarray(alphas)), held(np.asarray(strengths)))
    rows = _solved(setup, rules, points, held(np.asarray(starts)), count, tolerance, most)
    return _unfolded(np.asarray(rows)[:count], *setup.codes.shape)


@program
def _solved(
    setup: Setup,
    rules: Rules,
    points: Point,
    starts: Float[Any, "point unknown"],
    count: Any,
    tolerance: Any,
    most: Any,
) -> Float[Array, "point number"]:
    """`iterate` for the first `count` points, one after another; a row of numbers for each."""
    K, L = setup.codes.shape

    def body(index: Array, rows: Array) -> Array:
        point = Point(points.alpha[index], points.strength[index])
        s = iterate(setup, rules, point, starts[index], tolerance, most)
        own = Ends(s.best, s.residual, s.turn, s.overlaps, averages(setup, s), s.error)
        row = jnp.concatenate([jnp.asarray(leaf, float).ravel() for leaf in jax.tree.leaves(own)])
        return lax.dynamic_update_index_in_dim(rows, row, index, 0)

    width = sum(map(np.size, jax.tree.leaves(_shapes(K, L))))
    return lax.fori_loop(0, count, body, jnp.zeros((len(starts), width)))


def _shapes(K: int, L: int) -> Ends:
    """Arrays of the shapes of one point."""
    number, square, single = np.zeros(()), np.zeros((K, L, L)), np.zeros((K, L))
    found = Averages(number, number, number, number, number, np.zeros(K))
    packed = np.zeros(K * L * (L + 1) + (K + 1) * L)
    overlaps = Overlaps(square, square, single, np.zeros(L))
    return Ends(packed, number, number, overlaps, found, number)


def _unfolded(rows: Float[np.ndarray, "point number"], K: int, L: int) -> Ends:
    """From rows of numbers to what they mean."""
    leaves, form = jax.tree.flatten(_shapes(K, L))
    cuts = np.cumsum([leaf.size for leaf in leaves])[:-1]
    parts = zip(np.split(rows, cuts, axis=1), leaves, strict=True)
    ends = jax.tree.unflatten(form, [part.reshape(-1, *leaf.shape) for part, leaf in parts])
    return ends._replace(evaluations=ends.evaluations.astype(int))
