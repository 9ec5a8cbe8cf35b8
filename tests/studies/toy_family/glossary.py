"""Names, and the labelled result that theory and experiment share."""

import numpy as np

from orderparam.results import Coordinate, Verdict, build_solution

calls: list[str] = []


def pack(problem, method, kind, seed, variables, coords, verdict=Verdict.CONVERGED):
    calls.append(kind)
    coords["time"] = Coordinate(("time",), np.arange(problem.steps), "step", "steps")
    return build_solution(
        variables, coords, family="toy", kind=kind, problem=problem.config(), method=method,
        seed=seed, verdict=verdict, message="", diagnostics={}, precision="float64",
        device="cpu", wall_time=0.0, compile_time=None, sources=["toy2026"],
    )  # fmt: skip
