"""A whole training run as a differentiable function of what its averages weigh.

Every average of the infinite network is taken with a measure: weights of particles, or the Gram
matrix of the seeds of a linear network, one for each space. Small changes theta of the measure,
in coordinates in which a network of width N has independent ones of variance `unit`/N, are the
origin of all fluctuations: with psi = do/dtheta and H = d^2 o/dtheta^2

    N Cov[o, o'] = unit sum psi psi'^T,    beta_o = unit/2 tr H

Source: Bordelon & Pehlevan (2023); docs/theory/fluctuations.md, Deep networks, Linear networks.
"""

import abc
from typing import Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from orderparam.engine import CoefficientSpace, State
from orderparam.fluctuations.theory.functions import Observed
from orderparam.kernels import KernelProgram

Theta = Float[Array, "source coordinate"]

BASE = ("f", "Phi", "G")
"""Observables of the program from which all variables follow."""


class Measure(eqx.Module):
    """Coordinates of the measures of all spaces of a fresh state.

    Attributes:
        state: Spaces and matrices before anything was drawn.
    """

    state: State

    @property
    @abc.abstractmethod
    def shape(self) -> tuple[int, int]:
        """Number of spaces, and of coordinates of each."""

    @property
    @abc.abstractmethod
    def unit(self) -> float:
        """N times the variance of a coordinate."""

    @abc.abstractmethod
    def moved(self, theta: Theta) -> State:
        """The fresh state with another measure."""

    def centred(self, theta: Float[Array, "*way source coordinate"]) -> Array:
        """The nearest directions in which a measure may move."""
        return theta


class ParticleMeasure(Measure):
    """Weights of particles, 1/S + theta; they sum to 1, so that theta sums to 0.

    Particles without weight are not there: `half` takes away one half or the other.
    """

    @property
    def shape(self) -> tuple[int, int]:
        """Spaces and particles."""
        spaces = self.state.spaces
        return len(spaces), next(iter(spaces.values())).points

    @property
    def unit(self) -> float:
        """A network is a draw of N particles: weights have the covariance (1 - 1/S)/(S N)."""
        return 1 / float(np.sum(np.asarray(self._weights) > 0))

    @property
    def _weights(self) -> Float[Array, " coordinate"]:
        """Of the particles of every space alike."""
        return next(iter(self.state.spaces.values())).weights

    def half(self, second: bool) -> Self:
        """The measure of the first or the second half of the particles, without the others."""
        points = self.shape[1]
        kept = (np.arange(points) >= points // 2) == second
        weights = jnp.asarray(np.where(kept, 2 / points, 0.0))
        spaces = {
            name: eqx.tree_at(lambda s: s.weights, space, weights)
            for name, space in self.state.spaces.items()
        }
        return type(self)(_with(self.state, spaces))

    def moved(self, theta: Theta) -> State:
        """Spaces with other weights."""
        spaces = dict(self.state.spaces)
        for (name, space), more in zip(self.state.spaces.items(), theta, strict=True):
            spaces[name] = eqx.tree_at(lambda s: s.weights, space, space.weights + more)
        return _with(self.state, spaces)

    def centred(self, theta: Float[Array, "*way source coordinate"]) -> Array:
        """Changes that keep the sum of the weights."""
        there = self._weights > 0
        kept = jnp.where(there, theta, 0.0)
        return kept - jnp.where(there, kept.sum(axis=-1, keepdims=True) / there.sum(), 0.0)


class WishartMeasure(Measure):
    """Gram matrices of seeds, 1 + sum theta_ab X_ab with X_aa = sqrt 2 e_aa, X_ab = e_ab + e_ba."""

    @property
    def shape(self) -> tuple[int, int]:
        """Spaces, and pairs of seeds."""
        spaces = self.state.spaces
        count = next(iter(spaces.values())).capacity
        return len(spaces), count * (count + 1) // 2

    @property
    def unit(self) -> float:
        """The entries of a Wishart matrix over N have variance 1/N off and 2/N on the diagonal."""
        return 1.0

    def moved(self, theta: Theta) -> State:
        """Spaces with other Gram matrices."""
        spaces = dict(self.state.spaces)
        for (name, space), more in zip(self.state.spaces.items(), theta, strict=True):
            assert isinstance(space, CoefficientSpace)
            rows, columns = np.triu_indices(space.capacity)
            scale = np.where(rows == columns, 2**0.5, 1.0)
            upper = jnp.zeros_like(space.gram).at[rows, columns].set(scale * more)
            gram = space.gram + upper + upper.T - jnp.diag(jnp.diagonal(upper))
            spaces[name] = eqx.tree_at(lambda s: s.gram, space, gram)
        return _with(self.state, spaces)


class Replay(eqx.Module):
    """A training run for any measure.

    Attributes:
        program: What is trained.
        measure: Where it starts.
        saved: Steps at which it is looked at.
        steps: Number of steps.
    """

    program: KernelProgram
    measure: Measure
    saved: Int[Array, " time"]
    steps: int = eqx.field(static=True)

    def __call__(self, theta: Theta) -> Observed:
        """Base observables at the saved steps."""
        state = self.program.start(self.measure.moved(theta))

        # What a step needs again on the way back is computed again, not kept.
        @jax.checkpoint
        def advance(state: State, t: Array) -> tuple[State, Any]:
            state, observed, _ = self.program.step(state, t)
            return state.forget(), {name: observed[name] for name in BASE}

        observed = lax.scan(advance, state, jnp.arange(self.steps))[1]
        return {name: values[self.saved] for name, values in observed.items()}

    @property
    def origin(self) -> Theta:
        """No change of the measure."""
        return jnp.zeros(self.measure.shape)


def _with(state: State, spaces: dict[str, Any]) -> State:
    return State(spaces, state.matrices, state.vectors, state.homes)
