"""Counting as a method: exponents without any training."""

import time
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from orderparam.contract import Estimate, Method, Problem, SavePlan
from orderparam.errors import UnsupportedCombination
from orderparam.experts.glossary import entry_coordinates
from orderparam.experts.problem import Ladder, Transfer
from orderparam.experts.theory.predictions import predictions, stable
from orderparam.experts.traps import Trap
from orderparam.results import Solution, Verdict, build_solution
from orderparam.results.build import Coordinate, Variable

Parts = tuple[dict[str, Variable], dict[str, Coordinate], str]


class Counting(Method):
    """Predict exponents: random terms add as a root of their number, aligned ones in proportion.

    For a `Ladder` it gives the exponent of every observable for which counting gives one, for a
    `Transfer` the ratio 1 of best learning rates that scale stability asks for, for a `Trap` what
    happens in it.

    Source: Vankadara et al. (2026); docs/theory/experts.md, Counting, The muP table, Exponents by
    counting, Traps.
    """

    family: ClassVar[str] = "experts"
    name: ClassVar[str] = "counting"

    def config(self) -> Mapping[str, Any]:
        """The method has no settings."""
        return {"name": self.name}

    def estimate(self, problem: Problem, save: SavePlan) -> Estimate:
        """A table look-up: next to nothing."""
        del problem, save
        return Estimate(2**20, 0.01)

    def solve(self, problem: Problem, save: SavePlan, seed: int, progress: bool) -> Solution:
        """Count; nothing is trained."""
        del progress
        began = time.perf_counter()
        if isinstance(problem, Ladder):
            variables, coords, message = _exponents(problem, save)
        elif isinstance(problem, Transfer):
            variables, coords, message = _optimum(problem)
        elif isinstance(problem, Trap):
            variables, coords, message = _outcome(problem)
        else:
            raise UnsupportedCombination(
                f"Counting has no rule for a {type(problem).__name__}; give a Ladder, a Transfer "
                "or a Trap."
            )
        return build_solution(
            variables,
            coords,
            family=problem.family,
            kind="theory",
            problem=problem.config(),
            method=self.config(),
            seed=seed,
            verdict=Verdict.CONVERGED,
            message=message,
            diagnostics={},
            precision="float64",
            device="cpu",
            wall_time=time.perf_counter() - began,
            compile_time=None,
            sources=("vankadara2026",),
        )


def _exponents(problem: Ladder, save: SavePlan) -> Parts:
    """Exponents of a ladder."""
    plan = problem.plan()
    found = predictions(plan, problem.reference.roles, problem.grid(save))
    values = np.array(list(found.values()), dtype=np.float64)
    kept = "keeps" if stable(plan) else "does not keep"
    message = (
        f"By counting, {problem.parameterization} {kept} every term of the experts' sum at its "
        f"size in regime {problem.regime}; {len(values)} exponents are predicted."
    )
    long_name = "exponent in the scale factor"
    return (
        {"exponent": Variable(("prediction",), values, long_name, "c")},
        entry_coordinates(list(found)),
        message,
    )


def _optimum(problem: Transfer) -> Parts:
    """The best learning rate of the largest model relative to the smallest one's."""
    kept = stable(problem.plan())
    reason = "scale-stable" if kept else "not scale-stable here, so that nothing makes it stay"
    message = (
        "The best learning rate does not move in a scale-stable parameterization; by counting, "
        f"{problem.parameterization} is {reason}."
    )
    long_name = "best learning rate of the largest model over that of the smallest"
    symbol = r"\eta^*_{max} / \eta^*_{min}"
    return {"optimum_ratio": Variable((), np.array(1.0), long_name, symbol)}, {}, message


def _outcome(problem: Trap) -> Parts:
    """What a trap does, or what happens without it."""
    meaning, symbol = problem.measured
    outcome = np.array(problem.expected(), dtype=np.float64)
    return {"outcome": Variable((), outcome, meaning, symbol)}, {}, problem.story
