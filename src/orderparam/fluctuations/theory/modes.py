"""The few directions of a measure that observables answer to, by randomised range finding.

The Jacobian A of all base observables by all coordinates of the measure is large, but its rank is
small, since trajectories are smooth. Reverse passes of random combinations of observables give
random combinations of its rows; orthonormalised they are a basis Q of the rows, up to what the
next combinations still have outside. Forward passes along Q then give A Q, and with it all
influences at once: psi = (A Q) Q^T. What lies outside the basis is small, and its covariance is
estimated by answers to random changes of the measure, less the part of them inside: a trace by a
projection and a random remainder, whose error falls much faster than that of either. The cost is
that of a few dozen training runs, whatever the number of observables.

Sources: Halko, Martinsson & Tropp (2011), section 4; Meyer, Musco, Musco & Woodruff (2021);
docs/theory/fluctuations.md, Algorithms.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from orderparam.fluctuations.theory.functions import Observed
from orderparam.fluctuations.theory.replay import Replay, Theta
from orderparam.support.programs import program

GROUP = 12
"""Passes that share a program."""

MOST = 12
"""Groups of passes back, at most."""

OUTSIDE = 0.05
"""Part of the variance of random combinations of observables that may lie outside the basis."""


class Modes(NamedTuple):
    """Orthonormal directions of the measure, and how observables answer to each.

    Attributes:
        directions: Q.
        answers: A Q.
        rest: Answers to random changes of the measures of one space after the other, of variance 1
            in each coordinate, less what they have inside Q.
        outside: Part of the variance of random combinations of observables that is outside Q.
    """

    directions: Float[np.ndarray, "mode source coordinate"]
    answers: Observed
    rest: Observed
    outside: float


@program
def limit(replay: Replay) -> Observed:
    """Base observables of the limit."""
    return replay(replay.origin)


@program
def forward(replay: Replay, directions: Float[Array, "mode source coordinate"]) -> Observed:
    """Answers of the base observables to changes of the measure."""
    # One after the other: side by side, batches of matrices would be copied at every product.
    return lax.map(lambda way: jax.jvp(replay, (replay.origin,), (way,))[1], directions)


@program
def backward(
    replay: Replay, combinations: Observed
) -> Float[Array, "combination source coordinate"]:
    """Derivatives of combinations of the base observables (leading axis) by the measure."""

    def one(combination: Observed) -> Theta:
        return replay.measure.centred(jax.vjp(replay, replay.origin)[1](combination)[0])

    return lax.map(one, combinations)


@program
def bent(replay: Replay, directions: Float[Array, "mode source coordinate"]) -> Observed:
    """Sum over directions of second derivatives of the base observables along them."""

    def along(way: Theta) -> Observed:
        first = lambda s: jax.jvp(lambda r: replay(r * way), (s,), (jnp.ones(()),))[1]  # noqa: E731
        return jax.jvp(first, (jnp.zeros(()),), (jnp.ones(()),))[1]

    return jax.tree.map(lambda a: a.sum(axis=0), lax.map(along, directions))


def find(replay: Replay, seed: tuple[int, ...], outside: float = OUTSIDE) -> Modes:
    """Directions that hold all but a part `outside` of the variance of the observables."""
    rng = np.random.default_rng(seed)
    pushes = _in_turn(replay, rng)
    pushed = {name: np.asarray(a) for name, a in forward(replay, jnp.asarray(pushes)).items()}
    # Random changes of the measure are what a wide network has: typical sizes of fluctuations.
    tiny = np.finfo(float).tiny
    size = {name: max(float(np.sqrt(np.mean(a**2))), tiny) for name, a in pushed.items()}
    basis, left = np.zeros((0, pushes[0].size)), 1.0
    for _ in range(MOST):
        drawn = {
            name: jnp.asarray(rng.standard_normal(a.shape) / size[name])
            for name, a in pushed.items()
        }
        rows = np.asarray(backward(replay, drawn)).reshape(GROUP, -1)
        rest = rows - (rows @ basis.T) @ basis
        rest = rest - (rest @ basis.T) @ basis
        left = float(np.sum(rest**2) / max(np.sum(rows**2), tiny))
        basis = np.concatenate([basis, np.linalg.qr(rest.T)[0].T])
        if left < outside or len(basis) + GROUP > basis.shape[1]:
            break
    ways = basis.reshape(-1, *replay.measure.shape)
    answered = answers(replay, ways)
    inside = pushes.reshape(GROUP, -1) @ basis.T
    beyond = {name: a - np.tensordot(inside, answered[name], axes=1) for name, a in pushed.items()}
    return Modes(ways, answered, beyond, left)


def _in_turn(
    replay: Replay, rng: np.random.Generator
) -> Float[np.ndarray, "push source coordinate"]:
    """Random changes of the measure of one space at a time."""
    sources = replay.measure.shape[0]
    turn = np.arange(GROUP)[:, None] % sources == np.arange(sources)
    drawn = rng.standard_normal((GROUP, *replay.measure.shape))
    return np.asarray(replay.measure.centred(jnp.asarray(drawn))) * turn[:, :, None]


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
