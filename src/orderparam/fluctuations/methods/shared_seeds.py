"""Mean shifts without derivatives, from networks that share their neurons."""

import time
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import numpy as np

from orderparam.contract import Estimate, Method, SavePlan
from orderparam.fluctuations.problem import FiniteWidth
from orderparam.fluctuations.theory.functions import functions_of
from orderparam.fluctuations.theory.halves import halves
from orderparam.fluctuations.theory.pack import pack
from orderparam.fluctuations.theory.particles import training_of
from orderparam.fluctuations.theory.sampling import neurons, random_numbers
from orderparam.fluctuations.theory.statistics import Moments
from orderparam.fluctuations.theory.supported import require_one_layer
from orderparam.results import Solution
from orderparam.support.arguments import integer, positive
from orderparam.support.memory import require_numbers
from orderparam.support.progress import progress as progress_bar

GROUPS = 16
"""Groups of repeats, whose means give the standard error."""


class SharedSeeds(Method):
    """Mean shifts from networks of 2N neurons and their halves, without any derivative.

    beta = -2N mean(o_{2N} - (o_N + o'_N)/2): the independent route to `Influence`'s `NAME_shift`.
    Fluctuations of order N^{-1/2} cancel; what it leaves out is of order 1/N relative to the shift,
    and no part of its standard error. There are no variances. Works for kinked activations too.

    Args:
        width: N, the neurons of a half, at least 2.
        repeats: Independent networks, rounded up to a multiple of 16, whose groups give the
            standard errors.
        accuracy: Error asked for, relative to the larger of shift and limit.

    Cost: time and memory of `3 x repeats` networks, a sixteenth of them at once.

    Source: docs/theory/fluctuations.md, Shared seeds.
    """

    family: ClassVar[str] = "fluctuations"
    name: ClassVar[str] = "shared-seeds"

    width: int = eqx.field(static=True)
    repeats: int = eqx.field(static=True)
    accuracy: float = eqx.field(static=True)

    def __init__(self, width: int = 64, repeats: int = 1024, accuracy: float = 0.1) -> None:
        self.width = integer("width", width, 2)
        self.repeats = GROUPS * -(-integer("repeats", repeats) // GROUPS)
        self.accuracy = positive("accuracy", accuracy, "0.1 is usual")
        require_numbers("width", 2 * self.width * self.repeats)

    def config(self) -> Mapping[str, Any]:
        """The settings as plain JSON values."""
        names = ("width", "repeats", "accuracy")
        settings = {name: getattr(self, name) for name in names}
        return {"name": self.name, **settings, "replicates": GROUPS}

    def estimate(self, problem: FiniteWidth, save: SavePlan) -> Estimate:
        """Memory of one group of networks and of what is saved, and time of all."""
        evolution, grid = problem.evolution, save.grid(problem.evolution.steps)
        data, steps = evolution.data, int(grid[-1]) + 1
        seen = data.test_count + (0 if evolution.one_pass else data.count)
        kernels = len(grid) * seen**2 * (2 + 3 * data.outputs**2)
        batch = data.count if evolution.batches is None else evolution.batches.size
        rank = min(data.dimension, data.count + seen)
        neuron = steps * (rank + data.outputs + 1) + 4 * (batch + seen) * (1 + data.outputs)
        together = self.repeats // GROUPS
        numbers = together * (4 * self.width * neuron + 8 * kernels) + 4 * GROUPS * kernels
        work = 4.0 * self.repeats * self.width * steps * (batch + seen) * (rank + 20)
        return Estimate(2**29 + 8 * numbers, work / 1e9, 3.0)

    def solve(self, problem: FiniteWidth, save: SavePlan, seed: int, progress: bool) -> Solution:
        """Train all networks and their halves."""
        require_one_layer(self.name, problem, save, kinks=True)
        began = time.perf_counter()
        evolution, steps = problem.evolution, save.grid(problem.evolution.steps)
        training, functions = training_of(evolution, steps), functions_of(evolution)
        dimension = random_numbers(evolution, training.rows.shape[1])
        together = self.repeats // GROUPS
        sets = []
        with progress_bar(GROUPS, "shared seeds", progress) as advance:
            for group in range(GROUPS):
                generator = np.random.default_rng((seed, group))
                normals = generator.standard_normal((2 * self.width * together, dimension))
                start = jax.tree.map(
                    lambda a: a.reshape(together, 2 * self.width, *a.shape[1:]),
                    neurons(evolution, training, normals),
                )
                limit, shift = halves(training, functions, start)
                sets.append(Moments(limit, {}, shift))
                advance(1)
        return pack(
            problem,
            steps,
            sets,
            [],
            method=self.config(),
            seed=seed,
            accuracy=self.accuracy,
            remedy="Raise `repeats`.",
            seen={},
            seconds=time.perf_counter() - began,
        )
