"""One set of neurons of a network with one hidden layer: its moments at all saved times.

The steps: the limit; a basis for the influences on the driving predictions; the answers to it; the
mean correction; variances and shifts of every variable.

Source: Bordelon & Pehlevan (2023); docs/theory/fluctuations.md, One hidden layer, Algorithms.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from orderparam.fluctuations.theory.basis import (
    TINY,
    enough,
    explicit_basis,
    grouped,
    mode_basis,
    principal,
)
from orderparam.fluctuations.theory.covariance import covariances, influences
from orderparam.fluctuations.theory.functions import Functions, Observed
from orderparam.fluctuations.theory.particles import Training, single
from orderparam.fluctuations.theory.response import (
    Limit,
    Paths,
    Population,
    answers,
    limit,
    own_shifts,
)
from orderparam.fluctuations.theory.statistics import Moments, moments
from orderparam.support.programs import program

GROUP_BYTES = 2**27
"""Memory for the pushes that go through time at once."""

ALGORITHMS = ("auto", "explicit", "modes")

FEW = 32
"""Driving predictions up to which each is pushed by itself."""

AT_ONCE = 8
"""Least multiple of which modes are kept, so that most sets of neurons share one program."""

CURVATURE, CURVED_AT_ONCE = 1e-5, 4
"""Part of the covariance of driving predictions that the mean correction may leave out, and modes
of it that go through time at once."""


def replicate(
    training: Training,
    functions: Functions,
    neurons: Population,
    algorithm: str,
    shift: bool,
) -> tuple[Moments, dict[str, Any]]:
    """Moments of all variables (leading axis: time) and what one set of neurons notices.

    Args:
        training: What is trained, and when it is looked at.
        functions: The variables.
        neurons: The neurons at initialisation.
        algorithm: One of `ALGORITHMS`.
        shift: Whether to compute mean shifts.
    """
    found, paths = limit(training, neurons)
    weights, shares = np.asarray(neurons.weights), np.asarray(paths.shares)
    few = int(np.prod(training.active)) <= FEW
    if algorithm == "explicit" or (algorithm == "auto" and few):
        basis = explicit_basis(shares)
    else:
        basis = mode_basis(shares, weights, max(_group(training, len(weights)), AT_ONCE))
    answered = _answers(training, neurons, basis.pushes)
    flat = answered.u.reshape(len(answered.u), -1)
    psi = (basis.coefficients @ flat).reshape(shares.shape)
    directions, sizes = principal(psi.reshape(len(psi), -1), weights)
    seen = {
        "gain": float(np.linalg.norm(flat, ord=2)),
        "modes": len(flat),
        "discarded": basis.discarded,
        "residual": float(np.abs(np.tensordot(weights, shares, axes=1)).max()),
        "smallest_eigenvalue": float(sizes.min() / max(sizes.max(), TINY)),
    }
    shifted = None
    if shift:
        kept, seen["discarded_curvature"] = enough(sizes, CURVATURE)
        ways = np.sqrt(np.maximum(sizes[:kept, None], 0.0)) * directions[:kept]
        shifted = _shifts(training, neurons, found, psi, ways.reshape(kept, *psi.shape[1:]))
    result = _over_time(
        training, functions, paths, neurons.weights, found.observed, basis.coefficients,
        answered.observed, shifted,
    )  # fmt: skip
    return result, seen


def _answers(
    training: Training, neurons: Population, pushes: Float[np.ndarray, "mode step batch output"]
) -> Limit:
    """The answers to all pushes, a group at a time."""
    size = _group(training, len(neurons.weights))
    groups = [answers(training, neurons, jnp.asarray(part)) for part in grouped(pushes, size)]
    return jax.tree.map(lambda *a: np.concatenate(a)[: len(pushes)], *groups)


def _shifts(
    training: Training,
    neurons: Population,
    found: Limit,
    psi: Float[np.ndarray, "neuron step batch output"],
    ways: Float[np.ndarray, "mode step batch output"],
) -> Observed:
    """Mean shifts of the base observables, times N.

    beta_o = b_o + E[dO/du] beta_u, beta_u = (1 - J)^{-1} b_u: the last is the answer to a push b_u.
    """
    size = min(_group(training, len(psi)), CURVED_AT_ONCE)
    own = np.zeros((1, *psi.shape[1:]))
    parts = grouped(np.concatenate([own, ways]), size)
    marks = np.zeros((len(parts), size))
    marks[0, 0] = 1.0
    shared = jnp.asarray(psi)
    b = [
        own_shifts(training, neurons, found.u, shared, part, mark)
        for part, mark in zip(parts, marks, strict=True)
    ]
    total: Limit = jax.tree.map(lambda *a: np.sum(a, axis=0), *b)
    pushed = _answers(training, neurons, np.asarray(total.u)[None]).observed
    return {name: total.observed[name] + pushed[name][0] for name in pushed}


def _group(training: Training, neurons: int) -> int:
    """Pushes whose tangents fit in the memory set aside for them, in equal groups."""
    steps, batch, outputs = training.active
    rank, seen = training.rows.shape[1], len(training.seen)
    kept = 2 * steps * (rank + outputs + 1)
    fields = 4 * (batch + seen) * (1 + outputs) + len(training.saved) * seen * (1 + outputs)
    size = int(np.clip(GROUP_BYTES // (8 * neurons * (kept + fields)), 1, 16))
    return min(size, int(np.prod(training.active)))


@program
def _over_time(
    training: Training,
    functions: Functions,
    paths: Paths,
    weights: Float[Array, " neuron"],
    observed: Observed,
    coefficients: Float[Array, "neuron mode"],
    answered: Observed,
    shift: Observed | None,
) -> Moments:
    """Moments at each saved time, one after another."""

    def at(now: tuple[Any, ...]) -> tuple[Moments, Observed]:
        saved, base, answer, shifted = now
        own = jax.vmap(lambda *one: single(training, *one))(saved, paths.origin)
        psi = {
            name: own[name] - base[name] + jnp.tensordot(coefficients, answer[name], axes=1)
            for name in base
        }
        psi = jax.tree.map(lambda a: a[None], psi)  # one hidden layer, one source
        found = moments(functions, base, psi, weights, shifted)
        return found, influences(functions, base, psi)

    by_time = {name: jnp.moveaxis(answer, 1, 0) for name, answer in answered.items()}
    found, psi = lax.map(at, (paths.saved, observed, by_time, shift))
    return found._replace(covariance=covariances(psi, weights))
