"""Fluctuations by influence functions: what one neuron more or less changes."""

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from orderparam.contract import Estimate, Method, SavePlan
from orderparam.fluctuations.problem import FiniteWidth
from orderparam.fluctuations.theory.covariance import covariance_bytes, covariance_names
from orderparam.fluctuations.theory.functions import functions_of
from orderparam.fluctuations.theory.pack import pack
from orderparam.fluctuations.theory.particles import training_of
from orderparam.fluctuations.theory.response import Population
from orderparam.fluctuations.theory.sampling import neurons, quadrature, random_numbers, sobol
from orderparam.fluctuations.theory.statistics import Moments
from orderparam.fluctuations.theory.supported import require_one_layer
from orderparam.fluctuations.theory.two_layer import ALGORITHMS, replicate
from orderparam.results import Solution
from orderparam.support.arguments import integer, one_of, optional, positive, truth
from orderparam.support.memory import require_numbers
from orderparam.support.progress import progress as progress_bar


class Influence(Method):
    """Influence functions of single neurons: N Var, its layers and mean shifts at order 1/N.

    A network of width N is a system of N exchangeable neurons, and its observables are functionals
    of their empirical law. `samples` neurons from scrambled Sobol points stand for the limit; the
    derivative of an observable by the weight of one neuron is its influence psi, with

        N Cov[o, o'] = E[psi_o psi_o'],   psi_u = (1 - J)^{-1} (F - u)

    exact at leading order, for discrete steps, at every feature-learning strength. Standard errors
    come from `replicates` independent scrambles.

    Args:
        samples: Neurons of each set; rounded up to a power of two, at least 64.
        replicates: Independent sets R >= 2.
        nodes: Gauss-Hermite nodes in each direction in place of random sets, at least 4; for
            problems with few directions, where it is exact to rounding for linear networks and
            nearly so for smooth ones. Errors are then the difference to two nodes fewer.
        shift: Whether to compute mean shifts, which takes most of the time.
        algorithm: `"explicit"` follows a push of every driving prediction, `"modes"` of the
            principal components of the noise, `"auto"` takes the cheaper one.
        accuracy: Error asked for, of each N Var relative to its size over time and entries, and of
            each shift relative to the larger of its own size and the limit's. Above it the verdict
            is `error_too_large`. 8 sets of 1024 give about 0.01 for predictions, 0.03 for kernels.
        covariance: Quantities whose covariances between times are wanted too, as `("f", "ntk")`:
            `NAME_ncov`, between all entries, or of each entry with itself for kernels.

    Cost: time `replicates x samples x steps x pushes`, the number of pushes about 20 for modes and
    the number of driving predictions (steps x batch x outputs) for the explicit algorithm; memory
    `samples x samples of the data squared`, and as much for each saved time without the factor
    `samples`.

    Source: Bordelon & Pehlevan (2023); docs/theory/fluctuations.md, Influence functions, One hidden
    layer, Algorithms.
    """

    family: ClassVar[str] = "fluctuations"
    name: ClassVar[str] = "influence"

    samples: int = eqx.field(static=True)
    replicates: int = eqx.field(static=True)
    nodes: int | None = eqx.field(static=True)
    shift: bool = eqx.field(static=True)
    algorithm: str = eqx.field(static=True)
    accuracy: float = eqx.field(static=True)
    covariance: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        samples: int = 1024,
        replicates: int = 8,
        nodes: int | None = None,
        shift: bool = True,
        algorithm: str = "auto",
        accuracy: float = 0.1,
        covariance: Sequence[str] = (),
    ) -> None:
        samples = integer("samples", samples, 2)
        self.replicates = integer("replicates", replicates, 2)
        self.nodes = optional(integer, "nodes", nodes, 4)
        self.shift = truth("shift", shift)
        self.algorithm = one_of("algorithm", algorithm, ALGORITHMS)
        self.covariance = covariance_names(covariance)
        self.accuracy = positive("accuracy", accuracy, "0.1 is usual")
        require_numbers("samples", samples)
        require_numbers("nodes", (self.nodes or 1) ** 2)
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
        names = ("samples", "replicates", "nodes", "shift", "algorithm", "accuracy")
        settings = {n: getattr(self, n) for n in names}
        return {"name": self.name, **settings, "covariance": list(self.covariance)}

    def estimate(self, problem: FiniteWidth, save: SavePlan) -> Estimate:
        """Memory of one set of neurons and of what is saved, and time of the pushes."""
        evolution, grid = problem.evolution, save.grid(problem.evolution.steps)
        data, steps = evolution.data, int(grid[-1]) + 1
        batch = data.count if evolution.batches is None else evolution.batches.size
        outputs = data.outputs
        seen = data.test_count + (0 if evolution.one_pass else data.count)
        kernels = seen**2 * (1 + 2 * outputs**2)
        driving = steps * batch * outputs
        pushes = min(driving, 24) * (3 if self.shift else 1)
        per_neuron = 8 * kernels + 4 * driving + len(grid) * seen * (1 + outputs)
        saved = len(grid) * kernels * (5 * self.replicates + pushes)
        work = self.replicates * self.samples * steps * pushes * 60.0 * (batch + seen) * outputs
        work += self.replicates * self.samples * len(grid) * kernels * 40.0
        pairs = covariance_bytes(self.name, evolution, len(grid), self.covariance, self.samples)
        return Estimate(2**29 + pairs + 8 * (self.samples * per_neuron + saved), work / 1e9, 8.0)

    def solve(self, problem: FiniteWidth, save: SavePlan, seed: int, progress: bool) -> Solution:
        """Follow all sets of neurons, or a quadrature and a coarser one."""
        require_one_layer(self.name, problem, save)
        began = time.perf_counter()
        steps = save.grid(problem.evolution.steps)
        exact = self.nodes is not None
        with progress_bar(2 if exact else self.replicates, "influence", progress) as advance:
            found, seen = self.follow(problem, steps, seed, advance)
        return pack(
            problem,
            steps,
            found[:1] if exact else found,
            found[1:] if exact else [],
            method=self.config(),
            seed=seed,
            accuracy=self.accuracy,
            remedy="Raise `nodes`." if exact else "Raise `samples` or `replicates`.",
            seen=seen,
            seconds=time.perf_counter() - began,
        )

    def follow(
        self,
        problem: FiniteWidth,
        steps: Int[np.ndarray, " time"],
        seed: int,
        advance: Callable[[int], object],
    ) -> tuple[list[Moments], dict[str, Any]]:
        """Moments of each set of neurons, and what they notice."""
        evolution = problem.evolution
        training = training_of(evolution, steps)
        functions = functions_of(evolution, self.covariance)
        found: list[Moments] = []
        seen: dict[str, Any] = {}
        for normals, weights in self._populations(problem, training.rows.shape[1], seed):
            population = Population(neurons(evolution, training, normals), jnp.asarray(weights))
            one, noticed = replicate(training, functions, population, self.algorithm, self.shift)
            found.append(one)
            seen = {k: max(v, seen.get(k, v)) for k, v in noticed.items()}
            advance(1)
        return found, seen

    def _populations(
        self, problem: FiniteWidth, rank: int, seed: int
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Standard normals and weights of each set of neurons."""
        dimension = random_numbers(problem.evolution, rank)
        if self.nodes is not None:
            return [quadrature(dimension, n) for n in (self.nodes, self.nodes - 2)]
        alike = np.full(self.samples, 1 / self.samples)
        points = sobol(dimension, self.samples, self.replicates, seed)
        return [(normals, alike) for normals in points]
