"""The few directions of a measure that observables answer to, by randomised range finding.

The Jacobian A of all base observables by all coordinates of the measure is large, but its rank is
small, since trajectories are smooth. Reverse passes of random combinations of observables give
random combinations of its rows; orthonormalised they are a basis Q of the rows, up to what the
next combinations still have outside. Forward passes along Q then give A Q, and with it all
influences at once: psi = (A Q) Q^T. The cost is that of a few dozen training runs, whatever the
number of observables.

Source: Halko, Martinsson & Tropp (2011), section 4; docs/theory/fluctuations.md, Algorithms.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from orderparam.fluctuations.theory.functions import Observed
from orderparam.fluctuations.theory.replay import Replay, Theta
from orderparam.support.programs import program

GROUP = 12
"""Passes that go through time at once."""

MOST = 12
"""Groups of passes back, at most."""

DISCARDED = 1e-3
"""Part of the variance of random combinations of observables that the basis may leave out."""


class Modes(NamedTuple):
    """Orthonormal directions of the measure, and how observables answer to each."""

    directions: Float[np.ndarray, "mode source coordinate"]
    answers: Observed
    discarded: float


@program
def limit(replay: Replay) -> Observed:
    """Base observables of the limit."""
    return replay(replay.origin)


@program
def forward(replay: Replay, directions: Float[Array, "mode source coordinate"]) -> Observed:
    """Answers of the base observables to changes of the measure."""
    return jax.vmap(lambda way: jax.jvp(replay, (replay.origin,), (way,))[1])(directions)


@program
def backward(
    replay: Replay, combinations: Observed
) -> Float[Array, "combination source coordinate"]:
    """Derivatives of combinations of the base observables (leading axis) by the measure."""
    back = jax.vjp(replay, replay.origin)[1]
    return jax.vmap(lambda one: replay.measure.centred(back(one)[0]))(combinations)


@program
def bent(replay: Replay, directions: Float[Array, "mode source coordinate"]) -> Observed:
    """Sum over directions of second derivatives of the base observables along them."""

    def along(way: Theta) -> Observed:
        first = lambda s: jax.jvp(lambda r: replay(r * way), (s,), (jnp.ones(()),))[1]  # noqa: E731
        return jax.jvp(first, (jnp.zeros(()),), (jnp.ones(()),))[1]

    return jax.tree.map(lambda a: a.sum(axis=0), jax.vmap(along)(directions))


def find(replay: Replay, seed: tuple[int, ...], discarded: float = DISCARDED) -> Modes:
    """Directions that hold all but a part `discarded` of the variance of the observables."""
    rng = np.random.default_rng(seed)
    shape = replay.measure.shape
    first = replay.measure.centred(jnp.asarray(rng.standard_normal((GROUP, *shape))))
    size = {
        # Random changes of the measure are what a wide network has: typical sizes of fluctuations.
        name: max(float(np.sqrt(np.mean(np.square(answer)))), np.finfo(float).tiny)
        for name, answer in forward(replay, first).items()
    }
    like = jax.eval_shape(replay, replay.origin)
    basis, left = np.zeros((0, int(np.prod(shape)))), 1.0
    for _ in range(MOST):
        drawn = {
            name: jnp.asarray(rng.standard_normal((GROUP, *one.shape)) / size[name])
            for name, one in like.items()
        }
        rows = np.asarray(backward(replay, drawn)).reshape(GROUP, -1)
        rest = rows - (rows @ basis.T) @ basis
        rest = rest - (rest @ basis.T) @ basis
        left = float(np.sum(rest**2) / max(np.sum(rows**2), np.finfo(float).tiny))
        basis = np.concatenate([basis, np.linalg.qr(rest.T)[0].T])
        if left < discarded or len(basis) + GROUP > basis.shape[1]:
            break
    ways = basis.reshape(-1, *shape)
    return Modes(ways, answers(replay, ways), left)


def answers(replay: Replay, directions: Float[np.ndarray, "mode source coordinate"]) -> Observed:
    """Answers to any number of directions, a group at a time."""
    groups = [forward(replay, jnp.asarray(part)) for part in _grouped(directions)]
    return jax.tree.map(lambda *a: np.concatenate(a)[: len(directions)], *groups)


def curvature(replay: Replay, directions: Float[np.ndarray, "mode source coordinate"]) -> Observed:
    """Sum of second derivatives along any number of directions."""
    groups = [bent(replay, jnp.asarray(part)) for part in _grouped(directions)]
    return jax.tree.map(lambda *a: np.sum(a, axis=0), *groups)


def _grouped(
    directions: Float[np.ndarray, "mode source coordinate"],
) -> list[Float[np.ndarray, "mode_ source coordinate"]]:
    """Equal groups, the last filled up with zeros."""
    missing = -len(directions) % GROUP
    whole = np.concatenate([directions, np.zeros((missing, *directions.shape[1:]))])
    return list(whole.reshape(-1, GROUP, *directions.shape[1:]))
