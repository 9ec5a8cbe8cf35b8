"""Leading order in gamma0^2: the lazy limit and the first thing that feature learning changes."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import equinox as eqx
import numpy as np
from jaxtyping import Float

from orderparam.contract import Estimate, SavePlan
from orderparam.kernels.methods.causal import Causal
from orderparam.kernels.methods.static import static_trajectory
from orderparam.kernels.problem import KernelEvolution
from orderparam.kernels.theory.flow import KernelMethod
from orderparam.kernels.theory.pack import Trajectory, pack_theory
from orderparam.kernels.theory.supported import refuse, require_equal_times
from orderparam.results import Solution, Verdict
from orderparam.support.arguments import probability
from orderparam.support.progress import progress as progress_bar

LARGEST_ERROR = 0.1
"""Standard error or extrapolation error of f, relative to its largest value, that is allowed."""

Observed = Mapping[str, Float[np.ndarray, "time ..."]]


class Perturbation(KernelMethod):
    """Perturbation theory around lazy training: q(gamma0) = q(0) + gamma0^2 q_2 for f and kernels.

    q(0) is the static kernel, by quadrature. q_2 comes from Richardson extrapolation of the causal
    method with common random numbers at the strengths a and 2 a:

    q_2 = [16 (q(a) - q(0)) - (q(2 a) - q(0))] / (12 a^2) + O(a^4)

    Right for small gamma0, wrong by O(gamma0^4), and visibly wrong at gamma0 of order 1.

    Args:
        samples: Points S of each space, as in `Causal`.
        replicates: Independent scramblings R >= 2.
        tolerance: As in `Causal`; far smaller than a^2, since what is sought is of that size.
        strength: The small strength a, in (0, 1).

    Cost: Twice that of `Causal` at this tolerance.

    Source: Bordelon & Pehlevan (2022); docs/theory/kernels.md, Perturbation in the
    feature-learning strength.
    """

    name: ClassVar[str] = "perturbation"

    samples: int = eqx.field(static=True)
    replicates: int = eqx.field(static=True)
    tolerance: float = eqx.field(static=True)
    strength: float = eqx.field(static=True)

    def __init__(
        self,
        samples: int = 4096,
        replicates: int = 4,
        tolerance: float = 1e-6,
        strength: float = 0.2,
    ) -> None:
        causal = Causal(samples, replicates, tolerance)
        self.samples, self.replicates = causal.samples, causal.replicates
        self.tolerance = causal.tolerance
        self.strength = probability("strength", strength, "0.2 is usual")

    def config(self) -> Mapping[str, Any]:
        """The settings as plain JSON values."""
        names = ("samples", "replicates", "tolerance", "strength")
        return {"name": self.name, **{n: getattr(self, n) for n in names}}

    def cost(self, problem: KernelEvolution, save: SavePlan) -> Estimate:
        """Twice the time of the causal method, in its memory."""
        cost = self._causal().cost(problem, save)
        return Estimate(cost.memory, 2 * cost.seconds)

    def descend(
        self, problem: KernelEvolution, save: SavePlan, seed: int, progress: bool
    ) -> Solution:
        """Solve at two small strengths, extrapolate, and add the correction to the lazy limit."""
        require_equal_times(self.name, save)
        refuse(
            self.name,
            {
                "activations with kinks": not problem.network.activation.smooth,
                "weight decay": problem.weight_decay > 0,
                "fresh data, whose f(0) is noisy when divided by a small gamma0": problem.one_pass,
            },
            "smooth activations, without weight decay, on samples that return",
        )
        lazy = static_trajectory(problem, save)
        total = 2 * self.replicates * problem.steps
        with progress_bar(total, "perturbation", progress) as advance:
            pairs = [
                self._corrections(problem, save, (seed, r), lazy.observed, advance)
                for r in range(self.replicates)
            ]
        factor = problem.gamma0**2
        runs = [
            Trajectory({n: q + factor * second[n] for n, q in lazy.observed.items()}, seconds)
            for second, _, seconds in pairs
        ]
        scale = max(float(np.abs(np.stack([r.observed["f"] for r in runs])).max()), 1e-300)
        error, left = self._errors(problem, pairs)
        return pack_theory(
            problem,
            save,
            runs,
            method=self.config(),
            seed=seed,
            verdict=Verdict.CONVERGED
            if max(error, left) <= LARGEST_ERROR * scale
            else Verdict.ERROR_TOO_LARGE,
            message="Leading order in gamma0^2; exact up to terms of order gamma0^4.",
            diagnostics={
                "replicates": self.replicates,
                "f_standard_error": error / scale,
                "extrapolation_error": left / scale,
                "notes": [],
            },
        )

    def _causal(self) -> Causal:
        return Causal(self.samples, self.replicates, self.tolerance)

    def _corrections(
        self,
        problem: KernelEvolution,
        save: SavePlan,
        seed: tuple[int, int],
        lazy: Observed,
        advance: Any,
    ) -> tuple[Observed, Observed, float]:
        """q_2 of one replicate, its value without extrapolation, and the seconds it took."""
        start, a, causal = time.perf_counter(), self.strength, self._causal()
        changes = []
        for strength in (a, 2 * a):
            weak = replace(problem, gamma0=strength)
            run = causal.replicate(weak, save, seed, self.tolerance, advance)
            changes.append({name: run.observed[name] - lazy[name] for name in lazy})
        near, far = changes
        second = {name: (16 * near[name] - far[name]) / (12 * a**2) for name in lazy}
        plain = {name: near[name] / a**2 for name in lazy}
        return second, plain, time.perf_counter() - start

    def _errors(
        self, problem: KernelEvolution, pairs: list[tuple[Observed, Observed, float]]
    ) -> tuple[float, float]:
        """Standard error of f, and a bound on what the extrapolation leaves, at this gamma0."""
        second = np.stack([second["f"] for second, _, _ in pairs])
        plain = np.stack([plain["f"] for _, plain, _ in pairs])
        error = second.std(axis=0, ddof=1).max() / len(pairs) ** 0.5
        # The extrapolation removes a^2 q_4; what is left is a further factor 4 a^2 smaller.
        left = np.abs((second - plain).mean(axis=0)).max() * 4 * self.strength**2
        return problem.gamma0**2 * float(error), problem.gamma0**2 * float(left)
