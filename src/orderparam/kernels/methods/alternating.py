"""The alternating method: guess all kernels, sample the fields, recompute the kernels, repeat."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import numpy as np

from orderparam.contract import Estimate, SavePlan
from orderparam.errors import CapacityExceeded, Diverged
from orderparam.kernels.methods.alternating_ends import (
    changed,
    constants,
    count_events,
    errors_of,
    first_guess,
    judged,
    saved,
)
from orderparam.kernels.methods.alternating_round import CHUNK, Order, advance
from orderparam.kernels.problem import KernelEvolution
from orderparam.kernels.theory.flow import KernelMethod
from orderparam.kernels.theory.pack import Trajectory, pack_theory
from orderparam.kernels.theory.supported import refuse, require_equal_times, require_plain
from orderparam.results import Solution
from orderparam.support.arguments import fraction, integer, positive, probability, truth
from orderparam.support.arguments import refuse as refused
from orderparam.support.memory import require_numbers
from orderparam.support.progress import progress as progress_bar

LARGEST = 600
"""Events (samples times steps) up to which two-time kernels are formed."""


class Alternating(KernelMethod):
    """The self-consistent equations solved as in their paper, by alternating sampling.

    All two-time kernels and responses are guessed (frozen at initialisation), Gaussian fields are
    drawn for all times at once, the single-site equations are solved, kernels and responses are
    recomputed, and so on until they agree. Responses are averages of the Jacobians of single draws,
    so that the activation must be smooth. The same draws are used in every round: the round is a
    deterministic map and its residual measures convergence; standard errors come from `replicates`
    independent sets of draws.

    A second route to what the causal method computes, for checks: cost grows with the cube of
    samples times steps.

    Args:
        samples: Draws S of the fields, a multiple of 64; at least four times samples times steps.
        replicates: Independent sets of draws R >= 2.
        tolerance: Largest change of a kernel in the last round, relative to its largest entry.
        damping: Part of the old values that is kept in each round, from 0 to below 1. Rounds are
            causal (each is right one step further), so that none is needed unless early rounds
            overflow.
        rounds: Most rounds.
        response: Keep the response terms.
        accuracy: Error asked for, of predictions relative to their largest value and of kernels
            relative to their size: sampling, the bias of a finite number of draws (of order 1/S,
            from both halves of the draws of the first replicate) and what the last round still
            changed, together. Above it the verdict is `error_too_large`.

    Cost: O(L S (P T)^3) time per round, O(L P T (S + P T)) memory; the halves take as long as one
    replicate.

    Source: Bordelon & Pehlevan (2022), alternating sampling algorithm;
    docs/theory/kernels.md, Alternating sampling.
    """

    name: ClassVar[str] = "alternating"
    compilation: ClassVar[tuple[float, float]] = (1.7, 0.6)

    samples: int = eqx.field(static=True)
    replicates: int = eqx.field(static=True)
    tolerance: float = eqx.field(static=True)
    damping: float = eqx.field(static=True)
    rounds: int = eqx.field(static=True)
    response: bool = eqx.field(static=True)
    accuracy: float = eqx.field(static=True)

    def __init__(
        self,
        samples: int = 2048,
        replicates: int = 4,
        tolerance: float = 1e-4,
        damping: float = 0.0,
        rounds: int = 100,
        response: bool = True,
        accuracy: float = 0.01,
    ) -> None:
        self.samples = integer("samples", samples, 2 * CHUNK)
        if self.samples % (2 * CHUNK):
            raise refused("samples", samples, f"a multiple of {2 * CHUNK}")
        require_numbers("samples", self.samples)
        self.replicates = integer("replicates", replicates, 2)
        self.tolerance = probability("tolerance", tolerance, "1e-4 is usual")
        self.damping = fraction("damping", damping, "0 is usual")
        self.rounds = integer("rounds", rounds)
        self.response = truth("response", response)
        self.accuracy = positive("accuracy", accuracy, "0.01 is usual")

    def config(self) -> Mapping[str, Any]:
        """The settings as plain JSON values."""
        names = ("samples", "replicates", "tolerance", "damping", "rounds", "response", "accuracy")
        return {"name": self.name, **{n: getattr(self, n) for n in names}}

    def cost(self, problem: KernelEvolution, save: SavePlan) -> Estimate:
        """Memory of fields and two-time kernels, and time of some thirty rounds."""
        events, L = count_events(problem), problem.network.depth
        arrays = events * (L * (10 * self.samples + 20 * events) + 6 * CHUNK * events)
        work = self.samples * events**2 * (4.0 * L + 12.0 * (L - 1) * events)
        return Estimate(2**28 + 8 * arrays, 20 * (self.replicates + 1) * work / 4e9)

    def descend(
        self, problem: KernelEvolution, save: SavePlan, seed: int, progress: bool
    ) -> Solution:
        """Iterate every replicate to convergence."""
        self._require(problem, save)
        start = time.perf_counter()
        first = first_guess(problem)
        with progress_bar(self.replicates, "alternating", progress) as done:
            ends = []
            for replicate in range(self.replicates):
                ends.append(self._iterated(problem, first, (seed, replicate)))
                done(1)
            middle, half = ends[0][0], self.samples // 2
            parts = [
                self._iterated(problem, middle, (seed, 0), part)[0]
                for part in (slice(half), slice(half, None))
            ]
        spent = time.perf_counter() - start
        runs = [Trajectory(saved(problem, order, save), spent / len(ends)) for order, _ in ends]
        halves = [saved(problem, order, save) for order in parts]
        return self._packed(problem, save, seed, runs, halves, [h for _, h in ends])

    def _packed(
        self,
        problem: KernelEvolution,
        save: SavePlan,
        seed: int,
        runs: Sequence[Trajectory],
        halves: Sequence[Mapping[str, np.ndarray]],
        histories: Sequence[list[float]],
    ) -> Solution:
        """The solution, and whether its errors are as small as was asked for."""
        worst = max(history[-1] for history in histories)
        biases, errors, notes = errors_of(problem, runs, halves, worst, self.samples)
        verdict, message = judged(errors, self.tolerance, self.accuracy)
        return pack_theory(
            problem,
            save,
            runs,
            method=self.config(),
            seed=seed,
            verdict=verdict,
            message=" ".join([message, *notes]),
            biases=biases,
            diagnostics={
                "replicates": self.replicates,
                "sampling": errors["sampling"],
                "draws_bias": errors["draws"],
                "rounds": [len(history) for history in histories],
                "residuals": list(histories),
                "notes": notes,
            },
        )

    def _require(self, problem: KernelEvolution, save: SavePlan) -> None:
        """Refuse what the scheme does not follow, and too many or too few draws for it."""
        require_plain(self.name, problem)
        require_equal_times(self.name, save)
        refuse(
            self.name,
            {"activations with kinks": not problem.network.activation.smooth},
            "smooth activations, whose Jacobians give the responses",
        )
        events = count_events(problem)
        if events > LARGEST:
            raise CapacityExceeded(
                f"The method alternating keeps kernels over samples times steps, {events} here, up "
                f"to {LARGEST}; use the method causal, or fewer steps."
            )
        if 4 * events > self.samples:
            raise CapacityExceeded(
                f"The method alternating needs four times as many draws as samples times steps, "
                f"{events} here; raise `samples` to {4 * events} or more."
            )

    def _iterated(
        self,
        problem: KernelEvolution,
        order: Order,
        seed: tuple[int, int],
        part: slice = slice(None),
    ) -> tuple[Order, list[float]]:
        """Order parameters of (a part of) one replicate, and the change in each round."""
        given, history = constants(problem, self.samples, seed, self.response, part), []
        while not history or (history[-1] > self.tolerance and len(history) < self.rounds):
            new = advance(given, order)
            if self.damping:
                new = jax.tree.map(
                    lambda a, b: (1 - self.damping) * a + self.damping * b, new, order
                )
            change = max(changed(a, b) for a, b in zip(new, order, strict=True))
            if not np.isfinite(change):
                raise Diverged(
                    f"The alternating iteration left the finite numbers in round {len(history)}; "
                    "raise `damping`, or lower gamma0, the learning rate or the number of steps."
                )
            order = new
            history.append(change)
        return order, history
