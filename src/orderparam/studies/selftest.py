"""The self-test of `orderparam doctor`: a sampled theory against an exact one."""

import time
from dataclasses import dataclass

import numpy as np

import orderparam as op

# The truncation of the sampled method's histories leaves about ten times its tolerance of 1e-5;
# without the response terms the same loss is off by 15 per cent.
_LIMIT = 1e-3


@dataclass(frozen=True)
class SelfTest:
    """How far the sampled loss is from the exact one.

    Args:
        relative: Largest difference over time, relative to the initial loss.
        seconds: Time of both solves, compilation included.
    """

    relative: float
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether the two agree."""
        return self.relative < _LIMIT


def self_test() -> SelfTest:
    """Solve a small deep linear problem exactly and by sampling, and compare the losses."""
    start = time.perf_counter()
    problem = op.kernels.KernelEvolution(
        network=op.kernels.MLP(depth=2, activation="linear"),
        data=op.data.gaussian(count=4, dimension=8),
        gamma0=1.0,
        steps=10,
    )
    exact = op.solve(problem, op.kernels.ExactLinear(), progress=False)
    method = op.kernels.Causal(samples=1024, replicates=2, tolerance=1e-5)
    sampled = op.solve(problem, method, progress=False, throw=False)
    difference = np.abs(sampled["loss"].values - exact["loss"].values)
    relative = float(difference.max() / exact["loss"].values[0])
    return SelfTest(relative, time.perf_counter() - start)
