"""Message passing as a program of the conditioning engine: a third route to its path."""

import time
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import numpy as np

from orderparam.contract import Estimate, Method, SavePlan
from orderparam.engine import run, sampled_state
from orderparam.mixtures.methods.state_evolution import require_passing
from orderparam.mixtures.problem import MixtureERM
from orderparam.mixtures.theory.message_path import pack_path
from orderparam.mixtures.theory.message_program import message_program
from orderparam.results import Solution
from orderparam.support.arguments import integer, refuse
from orderparam.support.memory import require_numbers

_TOLERANCE = 1e-9
_CAPACITY = 128

_COMPILATION = 9.0
"""Seconds that compiling takes on one core, as measured."""


class EngineEvolution(Method):
    """The path of message passing by Gaussian conditioning instead of its state evolution.

    Each cluster's noise is a Gaussian matrix that is only used through products. The engine adds
    the response of each product to earlier ones, and the Onsager terms of the program take it
    away; nothing about state evolution is assumed.

    Args:
        samples: Points of each space, a power of two.
        replicates: Independent scramblings.

    Source: docs/theory/engine.md, Conditioning; docs/theory/mixtures.md, Message passing.
    """

    family: ClassVar[str] = "mixtures"
    name: ClassVar[str] = "engine"

    samples: int = eqx.field(static=True)
    replicates: int = eqx.field(static=True)

    def __init__(self, samples: int = 4096, replicates: int = 4) -> None:
        self.samples = integer("samples", samples, 64)
        if self.samples & (self.samples - 1):
            raise refuse("samples", samples, "a power of two of at least 64")
        self.replicates = integer("replicates", replicates, 2)
        require_numbers("samples", 5 * _CAPACITY * self.samples)

    def config(self) -> Mapping[str, Any]:
        """The settings as plain JSON values."""
        names = ("samples", "replicates")
        return {"name": self.name, **{n: getattr(self, n) for n in names}}

    def estimate(self, problem: MixtureERM, save: SavePlan) -> Estimate:
        """Memory of the spaces' bases."""
        del save
        spaces = problem.mixture.clusters + 1
        memory = spaces * 5 * _CAPACITY * self.samples * 8
        return Estimate(memory, 0.1 * require_passing(problem).steps * spaces, _COMPILATION)

    def solve(self, problem: MixtureERM, save: SavePlan, seed: int, progress: bool) -> Solution:
        """Run the program once for each scrambling."""
        del save, progress
        passing = require_passing(problem)
        steps, program = passing.steps, message_program(passing)
        began = time.perf_counter()
        runs = []
        for replicate in range(self.replicates):
            state = sampled_state(
                program.layout(), self.samples, _CAPACITY, _TOLERANCE, (seed, replicate)
            )
            runs.append(run(program, state, np.arange(steps), block=steps).observed)
        stacked = {name: np.stack([r[name] for r in runs]) for name in runs[0]}
        path = {name: values.mean(axis=0) for name, values in stacked.items()}
        errors = {
            name: values.std(axis=0, ddof=1) / np.sqrt(len(runs))
            for name, values in stacked.items()
        }
        return pack_path(problem, path, errors, self.config(), seed, began)
