"""The overlap equations as a method: integrated for all initial states in one compiled call."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import equinox as eqx
import numpy as np

from orderparam.contract import Estimate, SavePlan
from orderparam.online.methods.integrated import IntegratedMethod, integrated
from orderparam.online.problem import TeacherStudent
from orderparam.online.theory.flow import bins_of, fixed_of
from orderparam.online.theory.moments import Fixed, State
from orderparam.online.theory.smooth import frozen_normals
from orderparam.results import Solution
from orderparam.support.arguments import integer, positive, refuse
from orderparam.support.memory import require_numbers

_COMPILATION = 5.0
"""Seconds that compiling takes on one core, as measured."""


class OverlapODE(IntegratedMethod):
    """Integrate dQ/dt, dM/dt (and da/dt), with adaptive steps of order 8.

    Args:
        rtol: Relative tolerance of a step.
        atol: Absolute tolerance of a step; small overlaps M are safe, since their equation is
            linear in them.
        sgd_noise: Keep the eta^2 term; without it this is gradient flow at time eta t.
        max_steps: Steps of the integrator after which a trajectory is given up.
        margin: delta: the plateau is entered and left at a relative distance delta of the loss.
        rest: Share of the plateau's loss above the final one at which a run has converged.
        samples: For an activation without closed formulas: frozen quasi-random points, a power of
            two, for the average of the eta^2 term.
        replicates: Independent sets of such points, at least 2; results are means over them with
            standard errors.
        accuracy: Standard error of the loss, relative to its largest value, that is asked for with
            such points. Above it the verdict is `error_too_large`.

    Cost: about 100 steps of O((p + p*)^3) per trajectory (quadratic), all compiled together; an
    activation without closed formulas adds `samples (p + p*)` values to each step and replicate.

    Source: Bocchi et al. (2026); docs/theory/online.md, Equations of motion, Integration.
    """

    family: ClassVar[str] = "online"
    name: ClassVar[str] = "overlap-ode"

    samples: int = eqx.field(static=True)
    replicates: int = eqx.field(static=True)
    accuracy: float = eqx.field(static=True)

    def __init__(
        self,
        rtol: float = 1e-8,
        atol: float = 1e-10,
        sgd_noise: bool = True,
        max_steps: int = 16384,
        margin: float = 0.05,
        rest: float = 0.01,
        samples: int = 4096,
        replicates: int = 8,
        accuracy: float = 0.01,
    ) -> None:
        super().__init__(rtol, atol, sgd_noise, max_steps, margin, rest)
        self.samples = integer("samples", samples)
        self.replicates = integer("replicates", replicates, 2)
        self.accuracy = positive("accuracy", accuracy, "0.01 is usual")
        if self.samples & (self.samples - 1):
            raise refuse("samples", samples, "a power of two")
        require_numbers("samples", self.samples)

    def config(self) -> Mapping[str, Any]:
        """The settings as plain JSON values."""
        names = ("samples", "replicates", "accuracy")
        return {**super().config(), **{name: getattr(self, name) for name in names}}

    def estimate(self, problem: TeacherStudent, save: SavePlan) -> Estimate:
        """From the number of trajectories, saved times and units."""
        units, draws = problem.students + problem.teachers, problem.start.draws or 1
        bins = 1 if problem.spectrum is None else problem.spectrum.bins
        numbers = draws * len(problem.times(save)) * (bins * units**2 + 4)
        if isinstance(problem.activation, str):
            power = {"quadratic": 3, "erf_scaled": 4, "relu": 5}[problem.activation]
            seconds = 0.01 + 1e-5 * draws * (units**power + bins * units**2)
            return Estimate(2**27 + 64 * numbers, seconds, _COMPILATION)
        points = self.samples * units * draws
        memory = 2**28 + 64 * numbers * self.replicates + 48 * points
        return Estimate(memory, 0.1 + 2e-5 * points * self.replicates, _COMPILATION)

    def solve(self, problem: TeacherStudent, save: SavePlan, seed: int, progress: bool) -> Solution:
        """Integrate every initial state; blow-ups end a trajectory and set the verdict."""
        del progress  # a solve takes a second at most, but for sampled activations
        return integrated(self, problem, save, seed, self._starts(problem, seed))

    def _starts(self, problem: TeacherStudent, seed: int) -> Iterator[tuple[State, Fixed, None]]:
        """Where to start, once, or for each replicate of the frozen random points."""
        start = problem.start.flat()
        A = np.broadcast_to(problem.A, (len(start.Q), problem.students))
        first = State(start.Q, start.M, A)
        teacher = problem.preactivations().flat().T
        fixed = fixed_of(problem, teacher, bins_of(problem))
        if isinstance(problem.activation, str):
            yield first, fixed, None
            return
        units = problem.students + problem.teachers
        # Gradient flow has no averages over points.
        replicates, samples = (self.replicates, self.samples) if self.sgd_noise else (1, 2)
        for replicate in range(replicates):
            normals = np.asarray(frozen_normals(seed, replicate, samples, units))
            yield first, replace(fixed, normals=normals), None
