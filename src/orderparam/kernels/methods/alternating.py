"""The alternating method: guess all kernels, sample the fields, recompute the kernels, repeat."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from orderparam.contract import Estimate, SavePlan
from orderparam.errors import CapacityExceeded, Diverged
from orderparam.kernels.methods.alternating_ends import constants, count_events, first_guess, saved
from orderparam.kernels.methods.alternating_round import CHUNK, Order, advance
from orderparam.kernels.problem import KernelEvolution
from orderparam.kernels.theory.diagnosis import relative_biases
from orderparam.kernels.theory.flow import KernelMethod
from orderparam.kernels.theory.pack import Trajectory, pack_theory
from orderparam.kernels.theory.supported import refuse, require_equal_times, require_plain
from orderparam.results import Solution, Verdict
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
        samples: Draws S of the fields, a multiple of 64.
        replicates: Independent sets of draws R >= 2.
        tolerance: Largest change of a kernel in the last round, relative to its largest entry.
        damping: Part of the old values that is kept in each round, from 0 to below 1. Rounds are
            causal (each is right one step further), so that none is needed unless early rounds
            overflow.
        rounds: Most rounds.
        response: Keep the response terms.
        accuracy: Error asked for, of predictions relative to their largest value and of kernels
            relative to their size: sampling and what the last round still changed, together. Above
            it the verdict is `error_too_large`. The bias of a finite number of draws, of order
            1/S, is not estimated.

    Cost: O(L S (P T)^3) time per round, O(L P T (S + P T)) memory.

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
        self.samples = integer("samples", samples, CHUNK)
        if self.samples % CHUNK:
            raise refused("samples", samples, f"a multiple of {CHUNK}")
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
        return Estimate(2**28 + 8 * arrays, 20 * self.replicates * work / 4e9)

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
        spent = time.perf_counter() - start
        runs = [Trajectory(saved(problem, order, save), spent / len(ends)) for order, _ in ends]
        worst = max(history[-1] for _, history in ends)
        sampling = _sampling_error(runs)
        mean = {n: np.mean([run.observed[n] for run in runs], axis=0) for n in runs[0].observed}
        verdict, message = self._judged(worst, sampling)
        return pack_theory(
            problem,
            save,
            runs,
            method=self.config(),
            seed=seed,
            verdict=verdict,
            message=message,
            biases=relative_biases(problem, mean, worst),
            diagnostics={
                "replicates": self.replicates,
                "sampling": sampling,
                "rounds": [len(history) for _, history in ends],
                "residuals": [history for _, history in ends],
                "notes": [],
            },
        )

    def _judged(self, change: float, sampling: float) -> tuple[Verdict, str]:
        """Converged if the rounds are, and the errors as small as was asked for."""
        message = f"The last round changed the kernels by at most {change:.1e} of their size."
        if change > self.tolerance:
            return Verdict.NOT_CONVERGED, message
        error = float(np.hypot(change, sampling))
        message += f" Error, sampling included: {error:.1e}; asked for: {self.accuracy:g}."
        if error <= self.accuracy:
            return Verdict.CONVERGED, message
        most = "raise `samples` or `replicates`" if sampling > change else "lower `tolerance`"
        return Verdict.ERROR_TOO_LARGE, f"{message} To lower it, {most}."

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
        if 2 * events > self.samples:
            raise CapacityExceeded(
                f"The method alternating needs twice as many draws as samples times steps, "
                f"{events} here; raise `samples` to {2 * events} or more."
            )

    def _iterated(
        self, problem: KernelEvolution, order: Order, seed: tuple[int, int]
    ) -> tuple[Order, list[float]]:
        """Order parameters of one replicate, and the change in each round."""
        given, history = constants(problem, self.samples, seed, self.response), []
        while not history or (history[-1] > self.tolerance and len(history) < self.rounds):
            new = advance(given, order)
            if self.damping:
                new = jax.tree.map(
                    lambda a, b: (1 - self.damping) * a + self.damping * b, new, order
                )
            change = max(_change(a, b) for a, b in zip(new, order, strict=True))
            if not np.isfinite(change):
                raise Diverged(
                    f"The alternating iteration left the finite numbers in round {len(history)}; "
                    "raise `damping`, or lower gamma0, the learning rate or the number of steps."
                )
            order = new
            history.append(change)
        return order, history


def _change(new: Array, old: Array) -> float:
    """Largest difference relative to the largest entry; zero where both vanish."""
    size = float(jnp.abs(new).max())
    return float(jnp.abs(new - old).max()) / size if size else float(jnp.abs(old).max())


def _sampling_error(runs: Sequence[Trajectory]) -> float:
    """Largest standard error, root mean square over entries, in units of the quantity's size."""
    found = [0.0]
    for name in ("f", "Phi", "G", "ntk"):
        values = np.stack([run.observed[name] for run in runs])
        error = values.std(axis=0, ddof=1) / len(runs) ** 0.5
        size = np.abs(values).max() if name == "f" else np.sqrt(np.mean(values**2))
        if size > 0:  # what vanishes is right as it is
            found.append(float(np.sqrt(np.mean(error**2)) / size))
    return max(found)
