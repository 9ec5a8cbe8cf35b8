"""The overlap equations as a method: integrated for all initial states in one compiled call."""

import time
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from orderparam.contract import Estimate, Method, SavePlan
from orderparam.online.checks import count, real, truth
from orderparam.online.events import EVENTS, levels_of
from orderparam.online.flow import bins_of, fixed_of, rule_of
from orderparam.online.glossary import constants, coordinates, measured, variable
from orderparam.online.integration import Steps, Trajectories, compiled
from orderparam.online.moments import State
from orderparam.results import Solution, Verdict, build_solution

_EVENT_GRID = 301
"""Evenly spaced times, beside the saved ones, between which events are looked for."""


class OverlapODE(Method):
    """Integrate dQ/dt, dM/dt (and da/dt), with adaptive steps of order 8.

    Args:
        rtol: Relative tolerance of a step.
        atol: Absolute tolerance of a step; small overlaps M are safe, since their equation is
            linear in them.
        sgd_noise: Keep the eta^2 term; without it this is gradient flow at time eta t.
        max_steps: Steps of the integrator after which a trajectory is given up.
        margin: delta: the plateau is entered and left at a relative distance delta of the loss.
        rest: Share of the plateau's loss above the final one at which a run has converged.

    Cost: about 100 steps of O((p + p*)^3) per trajectory (quadratic), all compiled together.

    Source: Bocchi et al. (2026); online.md sections 2, 10.
    """

    name: ClassVar[str] = "overlap-ode"

    rtol: float = eqx.field(static=True)
    atol: float = eqx.field(static=True)
    sgd_noise: bool = eqx.field(static=True)
    max_steps: int = eqx.field(static=True)
    margin: float = eqx.field(static=True)
    rest: float = eqx.field(static=True)

    def __init__(
        self,
        rtol: float = 1e-8,
        atol: float = 1e-10,
        sgd_noise: bool = True,
        max_steps: int = 16384,
        margin: float = 0.05,
        rest: float = 0.01,
    ) -> None:
        self.rtol = real("rtol", rtol, 0.0, 1.0, open_low=True)
        self.atol = real("atol", atol, 0.0, 1.0, open_low=True)
        self.sgd_noise = truth("sgd_noise", sgd_noise)
        self.max_steps = count("max_steps", max_steps)
        self.margin = real("margin", margin, 0.0, 1.0, open_low=True)
        self.rest = real("rest", rest, 0.0, 1.0, open_low=True)

    def config(self) -> Mapping[str, Any]:
        """The settings as plain JSON values."""
        names = ("rtol", "atol", "sgd_noise", "max_steps", "margin", "rest")
        return {"name": self.name, **{n: getattr(self, n) for n in names}}

    def estimate(self, problem: Any, save: SavePlan) -> Estimate:
        """From the number of trajectories, saved times and units."""
        units, draws = problem.students + problem.teachers, problem.start.draws or 1
        numbers = draws * len(problem.times(save)) * (units**2 + 4)
        power = {"quadratic": 3, "erf": 4, "relu": 5}[problem.activation]
        return Estimate(2**27 + 64 * numbers, 0.01 + 1e-5 * draws * units**power)

    def solve(self, problem: Any, save: SavePlan, seed: int, progress: bool) -> Solution:
        """Integrate every initial state; blow-ups end a trajectory and set the verdict."""
        del progress  # a solve takes well under a second
        times, start = problem.times(save), problem.start.flat()
        A = np.broadcast_to(problem.A, (len(start.Q), problem.students))
        first = State(jnp.asarray(start.Q), jnp.asarray(start.M), jnp.asarray(A))
        teacher = jnp.asarray(problem.preactivations().flat().T)
        rule = rule_of(problem, self.sgd_noise)
        fixed = fixed_of(problem, teacher, bins_of(problem))
        levels = levels_of(problem, self.sgd_noise, self.margin, self.rest)
        fine = times if levels is None else np.union1d(times, problem.times(SavePlan(_EVENT_GRID)))
        steps = Steps(self.rtol, self.atol, self.max_steps)
        arguments = (first, fixed, rule, levels, jnp.asarray(fine), steps)
        program, compile_time = compiled(arguments)
        began = time.perf_counter()
        run = jax.block_until_ready(program(*arguments))
        wall_time = time.perf_counter() - began
        saved = np.searchsorted(fine, times)
        run = eqx.tree_at(lambda r: r.states, run, jax.tree.map(lambda x: x[:, saved], run.states))
        return _packed(self, problem, times, run, seed, wall_time, compile_time)


def _packed(
    method: OverlapODE,
    problem: Any,
    times: Float[np.ndarray, " time"],
    run: Trajectories,
    seed: int,
    wall_time: float,
    compile_time: float,
) -> Solution:
    """Label the trajectories, and say how they ended."""
    arrays = measured(problem, *(np.asarray(part) for part in run.states))
    if run.events is not None:
        arrays |= dict(zip(EVENTS, np.asarray(run.events).T, strict=True))
    blown, finished = np.asarray(run.blown_up), np.asarray(run.finished)
    lost = ~finished | ~np.isfinite(arrays["loss"]).all(axis=-1)
    verdict, message = Verdict.CONVERGED, "Every trajectory reached its last time."
    if blown.any():
        verdict = Verdict.DIVERGED
        message = f"The norms of {blown.sum()} of {len(blown)} trajectories grew without bound."
    elif lost.any():
        verdict = Verdict.NOT_CONVERGED
        message = f"{lost.sum()} of {len(lost)} trajectories needed more steps than `max_steps`."
    return build_solution(
        {name: variable(problem, name, values, ()) for name, values in arrays.items()}
        | constants(problem),
        coordinates(problem, times),
        family=problem.family,
        kind="theory",
        problem=problem.config(),
        method=method.config(),
        seed=seed,
        verdict=verdict,
        message=message,
        diagnostics={"steps": int(np.max(np.asarray(run.steps))), "lost": int(lost.sum())},
        precision="float64",
        device=jax.devices()[0].device_kind,
        wall_time=wall_time,
        compile_time=compile_time,
        sources=["bocchi2026"] if problem.activation == "quadratic" else ["saad1995"],
    )
