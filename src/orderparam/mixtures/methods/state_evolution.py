"""State evolution: what message passing is at every step, in the limit of large dimension."""

import time
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from orderparam.contract import Estimate, Method, SavePlan
from orderparam.errors import UnsupportedCombination
from orderparam.mixtures.passing import MessagePassing
from orderparam.mixtures.problem import MixtureERM
from orderparam.mixtures.theory.batches import make_setup
from orderparam.mixtures.theory.equations import Overlaps, Point, Setup, channel
from orderparam.mixtures.theory.message_path import pack_path
from orderparam.mixtures.theory.weights import answer
from orderparam.numerics.gaussian import checked_nodes
from orderparam.numerics.linear import solve
from orderparam.results import Solution

_NEWTON = 40

_COMPILATION = 1.0
"""Seconds that compiling takes on one core, as measured."""


class StateEvolution(Method):
    """The saddle-point equations iterated without damping, from weights that know no data.

    `Q_k`, `m_k`, `V_k` and `b` at step t are those of message passing on data before its step t
    (see `simulate`), oscillations and divergence included.

    Args:
        nodes: Quadrature nodes for one output.

    Raises:
        InvalidProblem: If `nodes` is below 2.

    Source: docs/theory/mixtures.md, Message passing; Bayati and Montanari (2011), Berthier et al.
    (2020).
    """

    family: ClassVar[str] = "mixtures"
    name: ClassVar[str] = "state-evolution"

    nodes: int = eqx.field(static=True)

    def __init__(self, nodes: int = 401) -> None:
        self.nodes = checked_nodes(nodes)

    def config(self) -> Mapping[str, Any]:
        """The settings as plain JSON values."""
        return {"name": self.name, "nodes": self.nodes}

    def estimate(self, problem: MixtureERM, save: SavePlan) -> Estimate:
        """A few evaluations of the equations a step."""
        del save
        seconds = 0.01 * require_passing(problem).steps * problem.mixture.clusters
        return Estimate(2**24, seconds, _COMPILATION)

    def solve(self, problem: MixtureERM, save: SavePlan, seed: int, progress: bool) -> Solution:
        """Iterate, and say whether the numbers stayed finite."""
        del save, progress
        passing = require_passing(problem)
        if passing.damping:
            raise UnsupportedCombination(
                f"State evolution is exact without damping alone, but `damping` is "
                f"{passing.damping:g}; solve with EngineEvolution, which follows every memory."
            )
        began = time.perf_counter()
        setup = make_setup(problem, self.nodes)
        point = Point(jnp.asarray(float(problem.alpha)), jnp.asarray(float(problem.strength)))
        path = evolve(setup, point, first_overlaps(passing), passing.steps)
        return pack_path(
            problem, {n: np.array(v) for n, v in path._asdict().items()}, {}, self.config(), seed,
            began,
        )  # fmt: skip


def require_passing(problem: MixtureERM) -> MessagePassing:
    """Refuse the problem of the end of the iteration instead of its path."""
    if not isinstance(problem, MessagePassing):
        raise UnsupportedCombination(
            "This method follows message passing step by step; build the problem with "
            "MessagePassing(...), or solve this one with SaddlePoint."
        )
    return problem


def first_overlaps(problem: MessagePassing) -> Overlaps:
    """Weights that know nothing of the data, and the responses of the start."""
    K, L = problem.mixture.clusters, problem.codes.shape[1]
    identity = np.broadcast_to(np.eye(L), (K, L, L))
    Q = problem.start_norm * problem.mixture.spectrum.traces()[:, None, None] * identity
    parts = (problem.start_response * identity, Q, np.zeros((K, L)), np.zeros(L))
    return Overlaps(*(jnp.asarray(part) for part in parts))


@eqx.filter_jit
def evolve(setup: Setup, point: Point, start: Overlaps, steps: int) -> Overlaps:
    """Overlaps at steps 0 ... steps - 1, each with the bias of that step."""

    def step(x: Overlaps, _: None) -> tuple[Overlaps, Overlaps]:
        x = x._replace(b=settled_bias(setup, point.alpha, x))
        hats, _loss = channel(setup, point.alpha, x)
        new = answer(hats, point.strength, setup.spectrum, setup.penalty)
        return Overlaps(new.V, new.Q, new.m, x.b), x

    return lax.scan(step, start, None, length=steps)[1]


def settled_bias(setup: Setup, alpha: Array, x: Overlaps) -> Float[Array, " output"]:
    """The bias at which the forces on it add up to zero, by Newton's method."""
    if not setup.fit_bias:
        return x.b

    def step(_: Array, b: Array) -> Array:
        hats, _loss = channel(setup, alpha, x._replace(b=b))
        curvature = jnp.sum(hats.V, axis=0)
        move = solve(curvature + 1e-12 * jnp.eye(len(b)), jnp.sum(hats.m, axis=0)[:, None])[:, 0]
        return b + jnp.clip(move, -2.0, 2.0)

    return lax.fori_loop(0, _NEWTON, step, x.b)
