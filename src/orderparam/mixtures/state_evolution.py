"""State evolution: what message passing is at every step, in the limit of large dimension."""

import time
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from orderparam.contract import Estimate, Method, SavePlan
from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.mixtures.batches import make_setup
from orderparam.mixtures.equations import Overlaps, Point, Setup, channel
from orderparam.mixtures.glossary import coordinates, lifted, variable
from orderparam.mixtures.pack import SOURCES, bias
from orderparam.mixtures.passing import MessagePassing
from orderparam.mixtures.problem import MixtureERM
from orderparam.mixtures.weights import answer
from orderparam.results import Coordinate, Solution, Verdict, build_solution

_NEWTON = 40
MESSAGE_SOURCES = [*SOURCES, "bayati2011", "berthier2020"]


class StateEvolution(Method):
    """The saddle-point equations iterated without damping, from weights of variance 1.

    `Q_k`, `m_k`, `V_k` and `b` at step t are those of message passing on data before its step t
    (see `simulate`), oscillations and divergence included.

    Args:
        nodes: Quadrature nodes for one output.

    Raises:
        InvalidProblem: If `nodes` is below 2.

    Source: mixtures.md section 9.2; Bayati and Montanari (2011), Berthier et al. (2020).
    """

    name: ClassVar[str] = "state-evolution"

    nodes: int = eqx.field(static=True)

    def __init__(self, nodes: int = 401) -> None:
        if nodes < 2:
            raise InvalidProblem(f"Argument `nodes` must be at least 2, but is {nodes}.")
        self.nodes = int(nodes)

    def config(self) -> Mapping[str, Any]:
        """The settings as plain JSON values."""
        return {"name": self.name, "nodes": self.nodes}

    def estimate(self, problem: MixtureERM, save: SavePlan) -> Estimate:
        """A few evaluations of the equations a step."""
        del save
        return Estimate(2**24, 0.01 * require_passing(problem).steps * problem.mixture.clusters)

    def solve(self, problem: MixtureERM, save: SavePlan, seed: int, progress: bool) -> Solution:
        """Iterate, and say whether the numbers stayed finite."""
        del save, progress
        passing = require_passing(problem)
        began = time.perf_counter()
        setup = make_setup(problem, self.nodes)
        point = Point(jnp.asarray(float(problem.alpha)), jnp.asarray(float(problem.strength)))
        path = evolve(setup, point, first_overlaps(problem), passing.steps)
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


def first_overlaps(problem: MixtureERM) -> Overlaps:
    """Weights of variance 1 that know nothing of the data, and unit responses."""
    K, L = problem.mixture.clusters, problem.codes.shape[1]
    identity = np.broadcast_to(np.eye(L), (K, L, L))
    Q = problem.mixture.spectrum.traces()[:, None, None] * identity
    parts = (identity, Q, np.zeros((K, L)), np.zeros(L))
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
        move = jnp.linalg.solve(curvature + 1e-12 * jnp.eye(len(b)), jnp.sum(hats.m, axis=0))
        return b + jnp.clip(move, -2.0, 2.0)

    return lax.fori_loop(0, _NEWTON, step, x.b)


def pack_path(
    problem: MixtureERM,
    path: Mapping[str, np.ndarray],
    errors: Mapping[str, np.ndarray],
    method: Mapping[str, Any],
    seed: int,
    began: float,
) -> Solution:
    """A solution along the steps from overlaps in computed outputs."""
    values = outputs_of(problem, path)
    spread = {n: np.abs(lifted_errors(problem, n, e)) for n, e in errors.items()}
    variables = {n: variable(problem, n, v, spread.get(n), ("time",)) for n, v in values.items()}
    finite = all(np.isfinite(v).all() for v in values.values())
    coords = coordinates(problem)
    coords["time"] = step_coordinate(len(path["b"]))
    return build_solution(
        variables,
        coords,
        family=problem.family,
        kind="theory",
        problem=problem.config(),
        method=method,
        seed=seed,
        verdict=Verdict.CONVERGED if finite else Verdict.NON_FINITE,
        message="Every step is finite." if finite else "The iteration diverges.",
        diagnostics={"last_change": _last_change(path["Q"])},
        precision="float64",
        device=jax.devices()[0].device_kind,
        wall_time=time.perf_counter() - began,
        compile_time=None,
        sources=MESSAGE_SOURCES,
    )


def outputs_of(problem: MixtureERM, path: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """From the outputs that are computed with to those of the user."""
    found = {name: lifted(problem, path[name], 2) for name in ("Q", "V")}
    return {**found, "m": lifted(problem, path["m"], 1), "b": bias(problem, path["b"])}


def lifted_errors(problem: MixtureERM, name: str, errors: np.ndarray) -> np.ndarray:
    """Standard errors in the user's outputs; the engine computes one output alone."""
    return lifted(problem, errors, 2 if name in ("Q", "V") else 1)


def step_coordinate(steps: int) -> Coordinate:
    """The steps of message passing."""
    return Coordinate(("time",), np.arange(steps), "step of message passing", "steps")


def _last_change(Q: Float[np.ndarray, "time ..."]) -> float:
    if len(Q) < 2:
        return float("nan")
    return float(np.abs(Q[-1] - Q[-2]).max() / max(np.abs(Q[-1]).max(), 1e-300))
