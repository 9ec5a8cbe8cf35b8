"""One set of neurons of a network with one hidden layer: its moments at all saved times.

The steps: the limit; a basis for the influences on the driving predictions; the answers to it; the
mean correction; variances and shifts of every variable.

Source: Bordelon & Pehlevan (2023); docs/theory/fluctuations.md, One hidden layer, Algorithms.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from orderparam.fluctuations.theory.functions import Functions, Observed
from orderparam.fluctuations.theory.particles import Training, single
from orderparam.fluctuations.theory.response import (
    Limit,
    Paths,
    Population,
    answers,
    grouped,
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

NOISE, NOISE_AT_ONCE = 1e-6, 8
"""Part of the variance of F - u that may be left out, and the multiple of modes that are kept."""

CURVATURE, CURVED_AT_ONCE = 1e-5, 4
"""The same for the covariance of driving predictions, which the mean correction sums over."""


@dataclass(frozen=True)
class Basis:
    """Pushes that span the influences on driving predictions, up to `discarded` of their variance.

    `coefficients` (neuron, mode) times `pushes` are F - u.
    """

    pushes: Float[Array, "mode step batch output"]
    coefficients: Float[Array, "neuron mode"]
    discarded: float


def explicit_basis(shares: Float[Array, "neuron step batch output"]) -> Basis:
    """One push for each driving prediction."""
    size = int(np.prod(shares.shape[1:]))
    pushes = jnp.eye(size).reshape(size, *shares.shape[1:])
    return Basis(pushes, shares.reshape(len(shares), size), 0.0)


def mode_basis(
    shares: Float[Array, "neuron step batch output"], weights: Float[Array, " neuron"]
) -> Basis:
    """As many principal components of F - u over the neurons as hold nearly all of its variance."""
    flat = shares.reshape(len(shares), -1)
    directions, variances = principal(flat, weights)
    kept, left = _enough(variances, NOISE, NOISE_AT_ONCE)
    directions = directions[:kept]
    return Basis(directions.reshape(kept, *shares.shape[1:]), flat @ directions.T, left)


def principal(
    flat: Float[Array, "neuron entry"], weights: Float[Array, " neuron"]
) -> tuple[Float[Array, "mode entry"], Float[Array, " mode"]]:
    """Orthonormal principal components of a weighted sample of mean zero, largest first."""
    scaled = jnp.sqrt(weights)[:, None] * flat
    tall = len(scaled) >= scaled.shape[1]
    gram = scaled.T @ scaled if tall else scaled @ scaled.T
    value, vector = jnp.linalg.eigh(gram)
    value, vector = jnp.maximum(value[::-1], 0.0), vector[:, ::-1]
    if not tall:
        vector = jnp.linalg.qr(scaled.T @ vector)[0]
    return vector.T, value


def _enough(sizes: Float[Array, " mode"], tolerance: float, multiple: int) -> tuple[int, float]:
    """How many modes leave less than a part of the whole, and what they leave.

    A multiple of a few, so that few different programs are compiled.
    """
    total = max(float(sizes.sum()), np.finfo(float).tiny)
    left = np.maximum(1 - np.cumsum(np.asarray(sizes)) / total, 0.0)
    needed = int(np.argmax(left < tolerance)) + 1 if (left < tolerance).any() else len(left)
    kept = min(multiple * -(-needed // multiple), len(left))
    return kept, float(left[kept - 1])


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
    weights, shares = neurons.weights, paths.shares
    few = int(np.prod(training.active)) <= FEW
    if algorithm == "explicit" or (algorithm == "auto" and few):
        basis = explicit_basis(shares)
    else:
        basis = mode_basis(shares, weights)
    group = _group(training, len(weights))
    answered = _answers(training, neurons, basis.pushes, group)
    flat = answered.u.reshape(len(answered.u), -1)
    seen = {
        "gain": float(jnp.linalg.norm(flat, ord=2)),
        "modes": len(flat),
        "discarded": basis.discarded,
    }
    shifted = None
    if shift:
        psi = jnp.tensordot(basis.coefficients, answered.u, axes=1)
        ways, seen["discarded_curvature"] = _curvature(psi, weights)
        b = own_shifts(training, neurons, found.u, psi, grouped(ways, min(group, CURVED_AT_ONCE)))
        pushed = _answers(training, neurons, b.u[None], group).observed
        shifted = {name: b.observed[name] + pushed[name][0] for name in pushed}
    result = _over_time(
        training, functions, paths, weights, found.observed, basis.coefficients,
        answered.observed, shifted,
    )  # fmt: skip
    return result, seen


def _answers(
    training: Training, neurons: Population, pushes: Float[Array, "mode step batch output"],
    group: int,
) -> Limit:  # fmt: skip
    """The answers to pushes, of which `group` go through time at once."""
    found = answers(training, neurons, grouped(pushes, group))
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[: len(pushes)], found)


def _curvature(
    psi: Float[Array, "neuron step batch output"], weights: Float[Array, " neuron"]
) -> tuple[Float[Array, "mode step batch output"], float]:
    """Modes whose squares add up to the covariance of driving predictions, and what is left out."""
    directions, sizes = principal(psi.reshape(len(psi), -1), weights)
    kept, left = _enough(sizes, CURVATURE, CURVED_AT_ONCE)
    ways = jnp.sqrt(sizes[:kept, None]) * directions[:kept]
    return ways.reshape(kept, *psi.shape[1:]), left


def _group(training: Training, neurons: int) -> int:
    """Pushes whose tangents fit in the memory set aside for them."""
    steps, batch, outputs = training.active
    rank, seen = training.rows.shape[1], len(training.seen)
    kept = 2 * steps * (rank + outputs + 1)
    fields = 4 * (batch + seen) * (1 + outputs) + len(training.saved) * seen * (1 + outputs)
    size = int(np.clip(GROUP_BYTES // (8 * neurons * (kept + fields)), 1, 64))
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

    def at(now: tuple[Any, ...]) -> Moments:
        saved, base, answer, shifted = now
        own = jax.vmap(lambda *one: single(training, *one))(saved, paths.origin)
        psi = {
            name: own[name] - base[name] + jnp.tensordot(coefficients, answer[name], axes=1)
            for name in base
        }
        psi = jax.tree.map(lambda a: a[None], psi)  # one hidden layer, one source
        return moments(functions, base, psi, weights, shifted)

    by_time = {name: jnp.moveaxis(answer, 1, 0) for name, answer in answered.items()}
    return lax.map(at, (paths.saved, observed, by_time, shift))
