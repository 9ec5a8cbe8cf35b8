"""A family that costs nothing: exponential decay, with noise of order 1/sqrt(width)."""

import time
from typing import ClassVar

import equinox as eqx
import numpy as np

from orderparam.contract import Estimate, Method, Problem
from orderparam.errors import Diverged, InvalidProblem
from orderparam.results import Coordinate, Variable, Verdict, build_solution

__all__ = ["Decay", "Formula", "Scale"]
STEPS = 8
calls: list[str] = []
TOY = """\
name = "toy"
title = "A decay"
claim = "It decays."
time_needed = "none"
figures = ["curve", "each", "impossible"]

[problem]
family = "toy"
kind = "Decay"
rate = 0.5

[problem.scale]
kind = "Scale"
value = 2.0

[vary]
"problem.rate" = [0.5, 1.0]

[theory]
method = "formula"

[experiment]
width = [64, 128, 256]
seeds = 6

[quick]
"experiment.width" = [64, 128]
"""


def _pack(problem, method, kind, seed, variables, coords, verdict=Verdict.CONVERGED):
    calls.append(kind)
    coords["time"] = Coordinate(("time",), np.arange(problem.steps), "step", "steps")
    return build_solution(
        variables, coords, family="toy", kind=kind, problem=problem.config(), method=method,
        seed=seed, verdict=verdict, message="", diagnostics={}, precision="float64",
        device="cpu", wall_time=0.0, compile_time=None, sources=["bordelon2022"],
    )  # fmt: skip


class Scale(eqx.Module):
    value: float = 1.0


class Formula(Method):
    name: ClassVar[str] = "formula"
    offset: float = 0.0
    verdict: str = "converged"
    pause: float = 0.0

    def solve(self, problem, save, seed, progress):
        time.sleep(self.pause)
        curve = problem.curve() + self.offset
        loss = Variable(("time",), curve, "loss", se=np.full(problem.steps, 1e-4))
        return _pack(
            problem, self.config(), "theory", seed, {"loss": loss}, {}, Verdict(self.verdict)
        )

    def estimate(self, problem, save):
        return Estimate(2**20, 0.0)

    def config(self):
        return {"name": self.name, "offset": self.offset, "verdict": self.verdict}


# The verbs tell a method's family by the module that it is written in.
Formula.__module__ = "orderparam.toy.formula"


class Decay(Problem):
    family: ClassVar[str] = "toy"
    scale: Scale
    rate: float = 0.5
    steps: int = STEPS

    def __check_init__(self):
        if self.rate <= 0:
            raise InvalidProblem(f"Argument `rate` must be positive, but is {self.rate}; raise it.")

    def curve(self):
        return self.scale.value * np.exp(-self.rate * np.arange(self.steps))

    def default_method(self):
        return Formula()

    def config(self):
        return {"rate": self.rate, "scale": self.scale.value, "steps": self.steps}

    def simulate(self, sizes, seeds, save, seed, *, precision, progress):
        if self.rate > 100:
            raise Diverged("The loss diverged at step 1; lower the rate.")
        width = np.array(sizes["width"])
        rng = np.random.default_rng(seed)
        noise = rng.standard_normal((width.size, seeds, 1)) / np.sqrt(width)[:, None, None] / 50
        runs = self.curve() * (1 + noise)
        variables = {
            "loss": Variable(("width", "seed", "time"), runs, "loss"),
            "run_valid": Variable(("width", "seed"), np.ones((width.size, seeds), bool), "ran"),
        }
        coords = {
            "width": Coordinate(("width",), width, "width"),
            "seed": Coordinate(("seed",), np.arange(seeds), "seed"),
        }
        return _pack(self, {"precision": precision}, "experiment", seed, variables, coords)
