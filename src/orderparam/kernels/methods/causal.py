"""The causal method: one pass through time with the conditioning engine, sampled."""

import math
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import equinox as eqx
import numpy as np

from orderparam.contract import Estimate, SavePlan
from orderparam.engine import Run, run, sampled_state, shard
from orderparam.errors import Diverged
from orderparam.kernels.problem import KernelEvolution
from orderparam.kernels.theory.diagnosis import (
    carrying,
    diagnose,
    judge,
    rare_errors,
    relative_biases,
    truncation_biases,
)
from orderparam.kernels.theory.flow import KernelMethod
from orderparam.kernels.theory.look_ahead import look_ahead
from orderparam.kernels.theory.pack import pack_theory
from orderparam.kernels.theory.physics import BLOWN_UP
from orderparam.kernels.theory.program import KernelProgram, layout
from orderparam.kernels.theory.sizes import capacity_of, cost_of, slots_of
from orderparam.results import Solution
from orderparam.support.arguments import integer, optional, positive, probability, truth
from orderparam.support.memory import require_numbers
from orderparam.support.progress import progress as progress_bar


class Causal(KernelMethod):
    """Causal sampling: the infinite-width limit in one pass through time, with error bars.

    Each layer is a space of `samples` points; initial weights are Gaussian matrices conditioned on
    all earlier products. There is nothing to iterate, at any feature-learning strength. Standard
    errors come from `replicates` independent scramblings.

    Args:
        samples: Points S of each space; rounded up to a power of two, at least 64.
        replicates: Independent scramblings R >= 2.
        tolerance: Relative squared norm below which a direction is not recorded, in (0, 1).
            Smaller values lower the truncation bias and raise rank and time. What is not recorded
            is lost to second order only.
        response: Keep the response terms; without them this is the gradient-independence
            approximation.
        capacity: Directions there is room for at first (doubled when needed, with a new
            compilation); `None` guesses from data, activation and tolerance.
        devices: Number of devices that share the points of each space.
        accuracy: Error asked for, of the loss relative to its start and of kernels relative to
            their size: sampling and truncation together. Above it the verdict is `error_too_large`.

    Cost: O(P S r) time per step and layer and O(S r) memory, r the rank of the histories, which
    saturates: time is linear in the number of steps for smooth activations.

    Source: Bordelon & Pehlevan (2022), discrete time; docs/theory/kernels.md, Causal solution;
    docs/theory/engine.md, Sampled spaces, Errors, Cost.
    """

    name: ClassVar[str] = "causal"
    program: ClassVar[type[KernelProgram]] = KernelProgram

    samples: int = eqx.field(static=True)
    replicates: int = eqx.field(static=True)
    tolerance: float = eqx.field(static=True)
    response: bool = eqx.field(static=True)
    capacity: int | None = eqx.field(static=True)
    devices: int = eqx.field(static=True)
    accuracy: float = eqx.field(static=True)

    def __init__(
        self,
        samples: int = 4096,
        replicates: int = 4,
        tolerance: float = 1e-3,
        response: bool = True,
        capacity: int | None = None,
        devices: int = 1,
        accuracy: float = 0.01,
    ) -> None:
        samples = integer("samples", samples, 2)
        self.replicates = integer("replicates", replicates, 2)
        self.tolerance = probability("tolerance", tolerance, "1e-3 is usual")
        self.response = truth("response", response)
        self.capacity = optional(integer, "capacity", capacity)
        self.devices = integer("devices", devices)
        self.accuracy = positive("accuracy", accuracy, "0.01 is usual")
        require_numbers("samples", samples * (self.capacity or 1))
        rounded = 2 ** max(6, math.ceil(math.log2(samples)))
        if rounded != samples:
            warnings.warn(
                f"Sobol samples come in powers of two from 64 on: samples = {samples} is raised to "
                f"{rounded}.",
                stacklevel=2,
            )
        self.samples = rounded

    def config(self) -> Mapping[str, Any]:
        """The settings as plain JSON values."""
        names = (
            "samples",
            "replicates",
            "tolerance",
            "response",
            "capacity",
            "devices",
            "accuracy",
        )
        return {"name": self.name, **{n: getattr(self, n) for n in names}}

    def first_capacity(self, problem: KernelEvolution) -> tuple[int, int]:
        """Directions of features and of gradients that there is room for at first."""
        if self.capacity is not None:
            return self.capacity, self.capacity
        return capacity_of(problem, self.tolerance)

    def cost(self, problem: KernelEvolution, save: SavePlan) -> Estimate:
        """Memory and time of all replicates and the coarser run."""
        room = self.first_capacity(problem)
        return cost_of(problem, save, room, self.samples, self.replicates)

    def require(self, problem: KernelEvolution) -> None:
        """Refuse what the method does not follow: nothing here."""

    def descend(
        self, problem: KernelEvolution, save: SavePlan, seed: int, progress: bool
    ) -> Solution:
        """Run all replicates, and one more at ten times the tolerance to see the truncation."""
        self.require(problem)
        notes, active = look_ahead(problem)
        start = time.perf_counter()
        total = (self.replicates + 1) * problem.steps
        with progress_bar(total, "causal", progress) as advance:
            runs = [
                self.replicate(problem, save, (seed, r), self.tolerance, advance)
                for r in range(self.replicates)
            ]
            coarser = self.replicate(
                problem,
                SavePlan(save.grid(problem.steps).tolist()),
                (seed, 0),
                10 * self.tolerance,
                advance,
            )
        return self.packed(problem, save, runs, coarser, seed, (notes, active, start))

    def packed(
        self,
        problem: KernelEvolution,
        save: SavePlan,
        runs: list[Run],
        coarser: Run,
        seed: int,
        before: tuple[list[str], float, float],
    ) -> Solution:
        """The solution of replicates and a coarser run.

        `before` is what was known when they began: notes, the active part of the points, the time.
        """
        notes, active, start = before
        biases = truncation_biases(problem, runs, coarser)
        diagnostics = diagnose(problem, runs, biases)
        part = carrying(runs, active)
        rare, few_points = rare_errors(part, self.samples)
        notes = [*notes, *few_points]
        diagnostics |= {"notes": notes, "effective_samples": float(part.min()) * self.samples}
        diagnostics |= {"total_seconds": time.perf_counter() - start}
        verdict, message = judge(diagnostics, self.accuracy, float(rare.max()))
        few = relative_biases(problem, runs[0].observed, rare)
        if few is not None:
            biases = {name: np.hypot(bias, few[name]) for name, bias in biases.items()}
        return pack_theory(
            problem,
            save,
            runs,
            method=self.config(),
            seed=seed,
            verdict=verdict,
            message=" ".join([message, *notes]),
            diagnostics=diagnostics,
            biases=biases,
        )

    def replicate(
        self,
        problem: KernelEvolution,
        save: SavePlan,
        seed: tuple[int, int],
        tolerance: float,
        advance: Callable[[int], None],
        program: KernelProgram | None = None,
    ) -> Run:
        """One run with the scrambling named by `seed`; `advance` hears of steps made.

        `program` replaces that of the problem by one of the same layout.
        """
        plan = layout(problem, self.response)
        capacity = self.first_capacity(problem)
        state = sampled_state(plan, self.samples, capacity, tolerance, seed, slots_of(problem))
        if self.devices > 1:
            state = shard(state, self.devices)
        grid = save.grid(problem.steps)
        last, scale = -1, 0.0

        def after_block(step: int, observed: Mapping[str, np.ndarray]) -> None:
            nonlocal last, scale
            loss = observed["loss"]
            scale = max(scale, float(loss[:2].max())) if last < 0 else scale
            if loss.max() > BLOWN_UP * max(scale, 1e-12):
                at = grid[grid > last][int(np.argmax(loss > BLOWN_UP * max(scale, 1e-12)))]
                raise Diverged(
                    f"The loss grew to {loss.max():.3g} by step {at}, from {scale:.3g} at the "
                    "start; lower the learning rate."
                )
            advance(step - last)
            last = step

        return run(
            (program or self.program.of(problem)).observing(grid),
            state,
            grid,
            fields_at=grid.tolist() if save.two_time else save.fields_at,
            block=min(64, len(grid)),
            after_block=after_block,
        )
