"""Finite-width fluctuations: each constructor and function with a call that works."""

import functools
from typing import Any

from case import Case
from registry_kernels import descent

import orderparam as op


@functools.cache
def scatter() -> Any:
    """A small problem of fluctuations."""
    return op.fluctuations.FiniteWidth(descent())


@functools.cache
def quick() -> Any:
    """A quick way to solve it."""
    return op.fluctuations.Influence(64, 2, accuracy=100.0)


@functools.cache
def ensembles() -> Any:
    """Networks of two widths."""
    return op.simulate(scatter(), width=[4, 8], seeds=8, progress=False)


@functools.cache
def theory() -> Any:
    """Its solution."""
    return op.solve(scatter(), quick(), progress=False, throw=False)


def fluctuation_cases() -> list[Case]:
    """Problem, methods and what follows from a solution."""
    f = op.fluctuations
    return [
        Case("fluctuations.FiniteWidth", f.FiniteWidth, {"evolution": descent()}),
        Case("fluctuations.Influence", f.Influence, {"samples": 64, "nodes": 6}),
        Case("fluctuations.SharedSeeds", f.SharedSeeds),
        Case("fluctuations.LayeredInfluence", f.LayeredInfluence),
        Case("fluctuations.RoundedInfluence", f.RoundedInfluence),
        Case("fluctuations.DeepLinear", f.DeepLinear),
        Case("fluctuations.Action", f.Action),
        Case("fluctuations.Lazy", f.Lazy),
        Case(
            "fluctuations.at_width",
            f.at_width,
            {"theory": theory(), "width": 64, "ensemble": 2},
            dear=10,
        ),
        Case(
            "fluctuations.width_exponents",
            f.width_exponents,
            {"theory": theory(), "networks": ensembles(), "variable": "f"},
            dear=10,
        ),
        Case(
            "fluctuations.gaussianity",
            f.gaussianity,
            {"networks": ensembles(), "variable": "f"},
            dear=10,
        ),
        Case("fluctuations.minimal_width", f.minimal_width, {"theory": theory()}, dear=10),
        Case(
            "fluctuations.best_split",
            f.best_split,
            {"theory": theory(), "parameters": 1e4, "step": 2, "loss": "loss"},
            dear=10,
            accepts={"neurons": "none"},
        ),
        Case(
            "fluctuations.Split",
            f.Split,
            {"width": 8, "ensemble": 2, "loss": 0.1, "parameters": 100, "at_bound": False},
            holds=True,
        ),
    ]
