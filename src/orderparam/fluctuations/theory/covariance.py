"""Covariances between times: how far a network that is late now is still late later.

With the influences psi of neurons on an observable at every time, from the same neurons,

    N Cov[o(t), o'(s)] = sum over sources of E[psi_o(t) psi_o'(s)]

For predictions, losses and eigenvalues all pairs of entries are kept; for kernels, whose entries
are many, each entry with itself at another time.

Source: Bordelon & Pehlevan (2023); docs/theory/fluctuations.md, Influence functions.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from orderparam.errors import UnsupportedCombination
from orderparam.fluctuations.glossary import ENTRYWISE, QUANTITIES
from orderparam.fluctuations.theory.functions import Functions, Observed, functions_of
from orderparam.kernels import KernelEvolution
from orderparam.support.arguments import one_of, sequence
from orderparam.support.memory import require_memory


def influences(functions: Functions, limit: Observed, psi: Observed) -> Observed:
    """Influences on the paired variables, from those on the base observables at one time.

    Args:
        functions: All variables as functions of the base observables.
        limit: The base observables.
        psi: Influences on them, with leading axes (source, neuron).
    """

    def one(direction: Observed) -> Observed:
        moved = jax.jvp(functions, (limit,), (direction,))[1]
        return {name: moved[name] for name in functions.paired}

    return jax.vmap(jax.vmap(one))(psi)


def covariances(psi: Observed, weights: Float[Array, " neuron"]) -> Observed:
    """N times the covariances, from influences with leading axes (time, source, neuron)."""
    return {
        name: jnp.einsum("tsn...,usn...,n->tu...", a, a, weights)
        if name in ENTRYWISE
        else _all_pairs(a, weights)
        for name, a in psi.items()
    }


def _all_pairs(
    psi: Float[Array, "time source neuron *entry"], weights: Float[Array, " neuron"]
) -> Float[Array, "time ..."]:
    times, entries = psi.shape[0], psi.shape[3:]
    flat = psi.reshape(*psi.shape[:3], -1)
    pairs = jnp.einsum("tsni,usnj,n->tiuj", flat, flat, weights)
    return pairs.reshape(times, *entries, times, *entries)


def covariance_bytes(
    method: str, evolution: KernelEvolution, times: int, chosen: Sequence[str], neurons: int
) -> int:
    """Bytes that the chosen covariances take, with the influences behind them.

    Args:
        method: Who asks.
        evolution: What is trained.
        times: Number of saved steps.
        chosen: Names of variables.
        neurons: Neurons, or modes, of all sources together.

    Raises:
        UnsupportedCombination: If the problem has no such variable.
        CapacityExceeded: If there is no room for them.
    """
    data = evolution.data
    seen = data.test_count + (0 if evolution.one_pass else data.count)
    depth, fields = evolution.network.depth, seen * data.outputs
    base = {
        name: jax.ShapeDtypeStruct(shape, float)
        for name, shape in {
            "f": (seen, data.outputs),
            "Phi": (depth, seen, seen),
            "G": (depth, fields, fields),
        }.items()
    }
    shapes = {
        name: one.shape for name, one in jax.eval_shape(functions_of(evolution), base).items()
    }
    total = 0
    for name in chosen:
        if name not in shapes:
            raise UnsupportedCombination(
                f"The method {method} was asked for the covariance of {name!r}, which this problem "
                f"does not have; it has {', '.join(shapes)}."
            )
        size = times * math.prod(shapes[name])
        total += size * neurons + (size * times if name in ENTRYWISE else size**2)
    require_memory(8 * total, "The covariances that were asked for", "save fewer steps")
    return 8 * total


def covariance_names(covariance: Any) -> tuple[str, ...]:
    """The argument `covariance` of methods: names of quantities.

    Raises:
        InvalidProblem: If it holds anything else.
    """
    given = sequence("covariance", covariance, "names of quantities", 0)
    return tuple(one_of("covariance", name, QUANTITIES) for name in given)
