"""Moments of all variables from the modes of a measure, whatever the depth.

Influences have the few dimensions of the modes: psi = (A Q) Q^T, so that the covariance that the
neurons of one layer cause is (A Q) (Q_l^T Q_l) (A Q)^T. A root of the small matrix in the middle
makes as many equivalent neurons as there are modes. What the modes leave out is added from answers
to random pushes of one layer's measure at a time, as further equivalent neurons; this makes sums
over layers right, while a layer's own part lacks what modes and remainder have in common in it.

The trace of the second derivatives, which is the mean shift, is exact inside the modes, where the
large curvatures are; outside it is estimated by random signs, for which the diagonal part, each
neuron's answer to its own influence, has no variance at all.

Source: Bordelon & Pehlevan (2023); docs/theory/fluctuations.md, Deep networks, Mean shift.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from orderparam.fluctuations.theory.covariance import covariances, influences
from orderparam.fluctuations.theory.functions import Functions, Observed
from orderparam.fluctuations.theory.modes import GROUP, Modes, answers, curvature, find, limit
from orderparam.fluctuations.theory.replay import Replay
from orderparam.fluctuations.theory.statistics import Moments, moments
from orderparam.support.programs import program


def replicate(
    replay: Replay,
    functions: Functions,
    seed: tuple[int, ...],
    shift: bool,
) -> tuple[Moments, dict[str, Any]]:
    """Moments of all variables (leading axis: time) with one set of particles.

    Args:
        replay: The training run.
        functions: The variables.
        seed: Of random combinations and signs.
        shift: Whether to compute mean shifts.
    """
    modes = find(replay, seed)
    seen = {"modes": len(modes.directions), "outside_modes": modes.outside}
    shifts = _shift(replay, modes, seed) if shift else None
    return moments_of(replay, functions, modes, shifts), seen


def every_direction(
    replay: Replay, functions: Functions, shift: bool
) -> tuple[Moments, dict[str, Any]]:
    """The same along all coordinates of a small measure, without anything random."""
    shape = replay.measure.shape
    ways = np.eye(int(np.prod(shape))).reshape(-1, *shape)
    modes = Modes(ways, answers(replay, ways), {}, 0.0)
    bend = curvature(replay, ways) if shift else None
    shifts = None if bend is None else {n: replay.measure.unit / 2 * v for n, v in bend.items()}
    return moments_of(replay, functions, modes, shifts), {"modes": len(ways)}


def moments_of(
    replay: Replay,
    functions: Functions,
    modes: Modes,
    shift: Observed | None,
) -> Moments:
    """Moments at each saved time."""
    count, pushes = len(modes.directions), len(next(iter(modes.rest.values()), ()))
    size = GROUP * -(-count // GROUP)  # sets of particles share a program
    inside = np.einsum("ksc,lsc->skl", modes.directions, modes.directions)
    value, vector = np.linalg.eigh(inside)
    root = np.zeros((len(inside), size + pushes, size + pushes))
    root[:, :count, :count] = vector * np.sqrt(np.maximum(value, 0.0))[:, None, :]
    for push in range(pushes):
        source = push % len(root)
        root[source, size + push, size + push] = len(range(source, pushes, len(root))) ** -0.5
    answered = {
        name: np.concatenate(
            [a, np.zeros((size - count, *a.shape[1:])), modes.rest.get(name, a[:0])]
        )
        for name, a in modes.answers.items()
    }
    root = jnp.asarray(root * replay.measure.unit**0.5)
    return _over_time(functions, limit(replay), root, answered, shift)


def _shift(replay: Replay, modes: Modes, seed: tuple[int, ...]) -> Observed:
    """Mean shifts of the base observables, times N."""
    flat = modes.directions.reshape(len(modes.directions), -1)
    signs = np.random.default_rng((*seed, 1)).choice([-1.0, 1.0], (GROUP, *replay.measure.shape))
    outside = np.asarray(replay.measure.centred(jnp.asarray(signs))).reshape(GROUP, -1)
    outside = (outside - (outside @ flat.T) @ flat).reshape(signs.shape)
    inner, outer = curvature(replay, modes.directions), curvature(replay, outside)
    return {name: replay.measure.unit / 2 * (inner[name] + outer[name] / GROUP) for name in inner}


@program
def _over_time(
    functions: Functions,
    base: Observed,
    root: Float[Array, "source mode mode_"],
    answered: Observed,
    shift: Observed | None,
) -> Moments:
    equal = jnp.ones(root.shape[1])

    def at(now: tuple[Any, ...]) -> tuple[Moments, Observed]:
        here, answer, shifted = now
        psi = {n: jnp.einsum("skm,k...->sm...", root, a) for n, a in answer.items()}
        found = moments(functions, here, psi, equal, shifted)
        return found, influences(functions, here, psi)

    by_time = {name: jnp.moveaxis(jnp.asarray(a), 1, 0) for name, a in answered.items()}
    found, psi = lax.map(at, (base, by_time, shift))
    return found._replace(covariance=covariances(psi, equal))
