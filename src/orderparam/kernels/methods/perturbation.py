"""Leading order in gamma0^2: the lazy limit and the first thing that feature learning changes."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from orderparam.contract import Estimate, SavePlan
from orderparam.kernels.methods.causal import Causal
from orderparam.kernels.methods.perturbation_ends import biases_of, sampled_start
from orderparam.kernels.methods.static import static_trajectory
from orderparam.kernels.problem import KernelEvolution
from orderparam.kernels.theory.diagnosis import FEW_POINTS, carrying, rare_errors
from orderparam.kernels.theory.flow import NOTHING, KernelMethod
from orderparam.kernels.theory.initial import kernels_at_start
from orderparam.kernels.theory.pack import Trajectory, pack_theory
from orderparam.kernels.theory.supported import refuse, require_equal_times
from orderparam.results import Solution, Verdict
from orderparam.results.uncertainty import relative_bias
from orderparam.support.arguments import positive, probability
from orderparam.support.progress import progress as progress_bar

Observed = Mapping[str, Float[np.ndarray, "time ..."]]


class Perturbation(KernelMethod):
    """Perturbation theory around lazy training: q(gamma0) = q(0) + gamma0^2 q_2 for f and kernels.

    q(0) is the static kernel. q_2 comes from Richardson extrapolation of the causal method at the
    strengths a and 2 a,

    q_2 = [16 (q(a) - q(0)) - (q(2 a) - q(0))] / (12 a^2) + O(a^4)

    with common random numbers: here q(0) is lazy training with the kernels of the same sampled
    points, whose error drops out, and each strength is the mean of two signs, that is of readouts w
    and -w, which have the same limit and opposite noise of order a.

    Right for small gamma0, wrong by O(gamma0^4), and visibly wrong at gamma0 of order 1.

    Args:
        samples: Points S of each space, as in `Causal`.
        replicates: Independent scramblings R >= 2.
        tolerance: As in `Causal`; far smaller than a^2, since what is sought is of that size.
        strength: The small strength a, in (0, 1).
        accuracy: Error asked for, of predictions relative to their largest value and of kernels
            relative to their size: sampling, extrapolation and quadrature together.

    Cost: Four times that of `Causal` at this tolerance.

    Source: Bordelon & Pehlevan (2022); docs/theory/kernels.md, Perturbation in the
    feature-learning strength.
    """

    name: ClassVar[str] = "perturbation"

    samples: int = eqx.field(static=True)
    replicates: int = eqx.field(static=True)
    tolerance: float = eqx.field(static=True)
    strength: float = eqx.field(static=True)
    accuracy: float = eqx.field(static=True)

    def __init__(
        self,
        samples: int = 4096,
        replicates: int = 4,
        tolerance: float = 1e-6,
        strength: float = 0.2,
        accuracy: float = 0.01,
    ) -> None:
        causal = Causal(samples, replicates, tolerance)
        self.samples, self.replicates = causal.samples, causal.replicates
        self.tolerance = causal.tolerance
        self.strength = probability("strength", strength, "0.2 is usual")
        self.accuracy = positive("accuracy", accuracy, "0.01 is usual")

    def config(self) -> Mapping[str, Any]:
        """The settings as plain JSON values."""
        names = ("samples", "replicates", "tolerance", "strength", "accuracy")
        return {"name": self.name, **{n: getattr(self, n) for n in names}}

    def cost(self, problem: KernelEvolution, save: SavePlan) -> Estimate:
        """Four times the time of the causal method, in its memory."""
        cost = self._causal().cost(problem, save)
        return Estimate(cost.memory, 4 * cost.seconds)

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
        kernels = kernels_at_start(problem)
        lazy = static_trajectory(problem, save, kernels)
        total = 4 * self.replicates * problem.steps
        with progress_bar(total, "perturbation", progress) as advance:
            found = [
                self._corrections(problem, save, (seed, r), advance) for r in range(self.replicates)
            ]
        factor = problem.gamma0**2
        runs = [
            Trajectory({n: q + factor * second[n] for n, q in lazy.observed.items()}, seconds)
            for second, _, _, seconds in found
        ]
        part = np.minimum.reduce([part for _, _, part, _ in found])
        rare, notes = rare_errors(np.minimum(part, kernels.active), self.samples)
        # The extrapolation removes a^2 q_4; what is left is a further factor 4 a^2 smaller.
        left = {
            n: 4 * (self.strength * problem.gamma0) ** 2
            * np.mean([second[n] - plain[n] for second, plain, *_ in found], axis=0)
            for n in lazy.observed
        }  # fmt: skip
        few = {
            n: relative_bias(factor * np.mean([second[n] for second, *_ in found], axis=0), rare)
            for n in lazy.observed
        }
        biased = {"extrapolation": left, "few_points": few}
        return self._packed(problem, save, runs, biased, kernels.error, seed, notes)

    def _packed(
        self,
        problem: KernelEvolution,
        save: SavePlan,
        runs: list[Trajectory],
        biased: Mapping[str, Observed],
        quadrature: float,
        seed: int,
        notes: list[str],
    ) -> Solution:
        """The solution, and whether its errors are as small as was asked for."""
        parts = dict.fromkeys(("sampling", *biased), 0.0)
        for name in ("f", "Phi", "G", "ntk"):
            values = np.stack([run.observed[name] for run in runs])
            size = max(float(np.abs(values).max()), NOTHING)
            se = float(values.std(axis=0, ddof=1).max()) / len(runs) ** 0.5
            found = {what: float(np.abs(left[name]).max()) for what, left in biased.items()}
            for what, error in {"sampling": se, **found}.items():
                parts[what] = max(parts[what], error / size)
        parts["quadrature"] = quadrature
        error = float(np.linalg.norm(list(parts.values())))
        message = (
            "Leading order in gamma0^2, exact up to terms of order gamma0^4. Error of both terms: "
            f"{error:.1e}; asked for: {self.accuracy:g}."
        )
        if error > self.accuracy:
            message += f" {REMEDIES[max(parts, key=lambda what: parts[what])]}"
        message = " ".join([message, *notes])
        return pack_theory(
            problem,
            save,
            runs,
            method=self.config(),
            seed=seed,
            verdict=Verdict.CONVERGED if error <= self.accuracy else Verdict.ERROR_TOO_LARGE,
            message=message,
            diagnostics={"replicates": self.replicates, **parts, "notes": notes},
            biases=biases_of(problem, runs, biased.values(), quadrature),
        )

    def _causal(self) -> Causal:
        return Causal(self.samples, self.replicates, self.tolerance)

    def _corrections(
        self, problem: KernelEvolution, save: SavePlan, seed: tuple[int, int], advance: Any
    ) -> tuple[Observed, Observed, Float[np.ndarray, " time"], float]:
        """q_2 of one replicate, its value without extrapolation, and what stands behind them.

        That is the smallest part of the points that carried an average so far, and seconds.
        """
        start, a, causal = time.perf_counter(), self.strength, self._causal()
        grid = save.grid(problem.steps)
        # The kernels of the sampled points before training belong to every strength.
        whole = SavePlan(sorted({0, *grid.tolist()}))
        program = causal.program.of(problem)
        kept = slice(len(whole.grid(problem.steps)) - len(grid), None)
        changes, parts, lazy = [], [], None
        for strength in (a, 2 * a):
            both = []
            for sign in (strength, -strength):
                signed = replace(program, gamma0=jnp.asarray(np.asarray(sign)))
                run = causal.replicate(problem, whole, seed, self.tolerance, advance, signed)
                both.append(run.observed)
                parts.append(carrying([run], 1.0)[kept])
            lazy = sampled_start(problem, both[0], grid) if lazy is None else lazy
            changes.append({n: (both[0][n] + both[1][n])[kept] / 2 - q for n, q in lazy.items()})
        near, far = changes
        second = {name: (16 * near[name] - far[name]) / (12 * a**2) for name in near}
        plain = {name: near[name] / a**2 for name in near}
        return second, plain, np.minimum.reduce(parts), time.perf_counter() - start


REMEDIES = {
    "sampling": "Most of it is the sampling error: raise `samples` or `replicates`.",
    "extrapolation": "Most of it is the extrapolation: lower `strength`.",
    "few_points": FEW_POINTS,
    "quadrature": "Most of it is the kernel before training, of an activation with kinks or steps.",
}
