"""Moments of all variables of a lazy network: its neurons, a chunk at a time.

Source: docs/theory/fluctuations.md, Lazy networks.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from orderparam.fluctuations.theory.functions import Functions, Observed
from orderparam.fluctuations.theory.lazy.descent import Descent
from orderparam.fluctuations.theory.lazy.influences import influences_of
from orderparam.fluctuations.theory.lazy.neurons import Points
from orderparam.fluctuations.theory.lazy.start import Start
from orderparam.fluctuations.theory.statistics import Moments, moments
from orderparam.kernels import KernelEvolution
from orderparam.support.programs import program

CHUNK_NUMBERS = 2**23
"""Numbers that the neurons of one chunk may have."""


def moments_of(
    evolution: KernelEvolution,
    start: Start,
    descent: Descent,
    functions: Functions,
    sets: list[Points],
    advance: Callable[[int], Any],
) -> Moments:
    """Moments at the saved times (first axis) with the neurons of one set.

    Args:
        evolution: What is trained.
        start: The network before training.
        descent: Training with its kernel.
        functions: The variables.
        sets: Neurons of every layer.
        advance: Called after each layer.
    """
    base = {
        "Phi": jnp.asarray(np.stack([layer.Phi for layer in start.layers])),
        "G": jnp.asarray(np.stack([layer.G for layer in start.layers])),
    }
    limit = jnp.asarray(descent.limit()[..., None])
    sources, value = [], None
    size = chunk_size(len(start.layers), len(start.gram), len(limit))
    for source, points in enumerate(sets):
        total: dict[str, np.ndarray] = {}
        for part in _chunks(points, min(size, max(len(s.weights) for s in sets))):
            found = influences_of(start, evolution.network, source, part)
            f = descent.answers(found.ntk) + descent.from_start(found.output) / evolution.gamma0
            psi = {"Phi": jnp.asarray(found.Phi), "G": jnp.asarray(found.G)}
            one: Moments = _over_time(
                functions, base, limit, psi, jnp.asarray(f[..., None]), jnp.asarray(part.weights)
            )
            value = one.limit
            for name, variance in one.variance.items():
                total[name] = total.get(name, 0.0) + np.asarray(variance)
        sources.append(total)
        advance(1)
    assert value is not None
    variance = {n: np.concatenate([s[n] for s in sources], axis=1) for n in sources[0]}
    return Moments(value, variance, None)


def chunk_size(depth: int, samples: int, times: int) -> int:
    """Neurons whose influences are formed together."""
    each = 6 * depth * samples**2 + 3 * times * samples
    return int(np.clip(CHUNK_NUMBERS // each, 1, 2**13))


def _chunks(points: Points, size: int) -> list[Points]:
    """Neurons in equal parts, the last filled up with ones that weigh nothing."""
    missing = -len(points.weights) % size
    padded = [np.concatenate([a, np.zeros((missing, *a.shape[1:]))]) for a in points]
    return [
        Points(*one) for one in zip(*(np.split(a, len(a) // size) for a in padded), strict=True)
    ]


@program
def _over_time(
    functions: Functions,
    base: Observed,
    limit: Float[Array, "time sample 1"],
    psi: Observed,
    answers: Float[Array, "time neuron sample 1"],
    weights: Float[Array, " neuron"],
) -> Moments:
    def at(now: tuple[Array, Array]) -> Moments:
        one = {name: a[None] for name, a in psi.items()}
        return moments(functions, base | {"f": now[0]}, one | {"f": now[1][None]}, weights, None)

    return lax.map(at, (limit, answers))
