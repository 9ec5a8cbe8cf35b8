"""Fluctuations of networks of any depth: influences through a whole training run."""

import math
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import equinox as eqx

from orderparam.contract import Estimate, Method, SavePlan
from orderparam.fluctuations.problem import FiniteWidth
from orderparam.fluctuations.theory.covariance import covariance_bytes, covariance_names
from orderparam.fluctuations.theory.functions import functions_of
from orderparam.fluctuations.theory.layered import replicate
from orderparam.fluctuations.theory.modes import GROUP
from orderparam.fluctuations.theory.pack import pack
from orderparam.fluctuations.theory.starts import particles
from orderparam.fluctuations.theory.supported import require_layers
from orderparam.results import Solution
from orderparam.support.arguments import integer, positive, probability, truth
from orderparam.support.memory import require_numbers
from orderparam.support.progress import progress as progress_bar

MODES, RANK = 60, 32
"""Passes and directions that are usual, for estimates."""


class LayeredInfluence(Method):
    """Influence functions of the neurons of every layer of a deep network.

    A network of width N is, exactly, a system of N particles in each layer: initial weight matrices
    act through the seeds of neurons and through averages over the neurons of both sides, revealed
    by one product after another. Derivatives of a training run of `samples` particles by the weight
    of each particle are the influences psi, and

        N Cov[o, o'] = sum over layers of E[psi_o psi_o'],    beta_o = 1/2 sum E[d^2 o]

    exact at leading order, for discrete steps, at every feature-learning strength. Random
    combinations of observables find the few directions that matter, so that the cost does not grow
    with their number. Standard errors come from `replicates` independent sets of seeds.

    Args:
        samples: Particles S of each layer; rounded up to a power of two, at least 256. What is left
            of their finite number is of order 1/S, and stated as what the two halves of the first
            set change together.
        replicates: Independent sets R >= 2.
        tolerance: Squared norm below which a residual opens no direction, relative to its vector.
        shift: Whether to compute mean shifts, which takes more than half of the time. They scatter
            over sets of particles far more than variances: ask for a larger `accuracy` with them.
        accuracy: Error asked for, as in `Influence`.
        covariance: Quantities whose covariances between times are wanted too, as `("f", "ntk")`:
            `NAME_ncov`, between all entries, or of each entry with itself for kernels.

    Cost: `replicates + 2` times about 400 training runs of S particles (1000 with shifts), each of
    O(S r) time per step, layer and sample, r <= steps x samples of the data the number of
    directions, which saturates. Memory O(S r steps) for the way back.

    Source: Bordelon & Pehlevan (2023); docs/theory/fluctuations.md, Deep networks.
    """

    family: ClassVar[str] = "fluctuations"
    name: ClassVar[str] = "layered-influence"

    samples: int = eqx.field(static=True)
    replicates: int = eqx.field(static=True)
    tolerance: float = eqx.field(static=True)
    shift: bool = eqx.field(static=True)
    accuracy: float = eqx.field(static=True)
    covariance: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        samples: int = 512,
        replicates: int = 4,
        tolerance: float = 1e-6,
        shift: bool = False,
        accuracy: float = 0.1,
        covariance: Sequence[str] = (),
    ) -> None:
        samples = integer("samples", samples, 2)
        self.replicates = integer("replicates", replicates, 2)
        self.tolerance = probability("tolerance", tolerance, "1e-6 is usual")
        self.shift = truth("shift", shift)
        self.covariance = covariance_names(covariance)
        self.accuracy = positive("accuracy", accuracy, "0.1 is usual")
        require_numbers("samples", samples)
        self.samples = 2 ** max(8, math.ceil(math.log2(samples)))
        if self.samples != samples:
            warnings.warn(
                f"Particles come in powers of two from 256 on: samples = {samples} is raised to "
                f"{self.samples}.",
                stacklevel=2,
            )

    def config(self) -> Mapping[str, Any]:
        """The settings as plain JSON values."""
        names = ("samples", "replicates", "tolerance", "shift", "accuracy")
        settings = {n: getattr(self, n) for n in names}
        return {"name": self.name, **settings, "covariance": list(self.covariance)}

    def estimate(self, problem: FiniteWidth, save: SavePlan) -> Estimate:
        """Memory of the way back and of the answers, and time of all passes."""
        evolution, steps = problem.evolution, int(save.grid(problem.evolution.steps)[-1]) + 1
        data, depth = evolution.data, evolution.network.depth
        seen = data.count + data.test_count
        rank = min(RANK + 4 * seen, steps * seen)
        state = 6 * depth * self.samples * rank
        kernels = depth * seen**2 * (1 + data.outputs**2) + seen * data.outputs
        memory = 2**29 + 8 * (state * (steps + 12) + steps * kernels * 4 * MODES)
        runs = (self.replicates + 2) * MODES * (17 if self.shift else 8)
        work = runs * steps * depth * 12.0 * rank * self.samples * seen * data.outputs
        times, equivalent = len(save.grid(evolution.steps)), depth * (MODES + GROUP)
        memory += covariance_bytes(self.name, evolution, times, self.covariance, equivalent)
        return Estimate(memory, work / 2e9, 60.0)

    def solve(self, problem: FiniteWidth, save: SavePlan, seed: int, progress: bool) -> Solution:
        """Replay training with every set of particles."""
        require_layers(self.name, problem, save)
        began = time.perf_counter()
        evolution, steps = problem.evolution, save.grid(problem.evolution.steps)
        functions, names = (
            functions_of(evolution, self.covariance),
            [(seed, r) for r in range(self.replicates)],
        )
        runs, halves = particles(evolution, steps, self.samples, self.tolerance, names)
        found, seen = [], {}
        with progress_bar(len(runs) + len(halves), "influence", progress) as advance:
            for replay, name in zip(runs + halves, names + [names[0]] * 2, strict=True):
                one, noticed = replicate(replay, functions, name, self.shift)
                found.append(one)
                seen = {k: max(v, seen.get(k, v)) for k, v in noticed.items()}
                advance(1)
        matrices = runs[0].measure.state.matrices.values()
        seen |= {"directions": max((m.column.capacity for m in matrices), default=0)}
        return pack(
            problem,
            steps,
            found[: len(runs)],
            found[len(runs) :],
            method=self.config(),
            seed=seed,
            accuracy=self.accuracy,
            remedy="Raise `samples` or `replicates`.",
            seen=seen,
            seconds=time.perf_counter() - began,
        )
