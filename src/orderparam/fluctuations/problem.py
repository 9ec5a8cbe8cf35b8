"""Finite-width fluctuations: which training they are fluctuations of."""

from collections.abc import Mapping
from typing import Any, ClassVar

from orderparam.contract import Problem
from orderparam.errors import UnsupportedCombination
from orderparam.kernels import KernelEvolution
from orderparam.support.arguments import instance


class FiniteWidth(Problem):
    """How networks of width N scatter around their limit, over the random initialisation.

    For every smooth functional o of a network that is trained as `evolution` says,

    E[o_N] = o + beta/N + O(N^-2),   Cov[o_N, o'_N] = Sigma/N + O(N^-2)

    with o, beta and Sigma independent of N, at any strength of feature learning. `solve` computes
    the three, `simulate` trains ensembles and measures them. Whether predictions are measured from
    their start (`evolution.centered`) is part of the problem: the limit is the same either way,
    fluctuations are not.

    Args:
        evolution: A `KernelEvolution` by gradient descent in discrete steps.

    Raises:
        InvalidProblem: If `evolution` is none.
        UnsupportedCombination: If it is gradient flow.

    Source: Bordelon & Pehlevan (2023); docs/theory/fluctuations.md, What is computed.
    """

    family: ClassVar[str] = "fluctuations"

    evolution: KernelEvolution

    def __init__(self, evolution: KernelEvolution) -> None:
        instance("evolution", evolution, KernelEvolution, "build one with orderparam.kernels")
        if evolution.gradient_flow:
            raise UnsupportedCombination(
                "FiniteWidth does not support gradient flow, whose fluctuations differ from those "
                "of finite steps; it supports gradient descent: leave out `gradient_flow` and "
                "choose a small `learning_rate`."
            )
        self.evolution = evolution

    def config(self) -> Mapping[str, Any]:
        """The problem as plain JSON values; data enter by name, shape and fingerprint."""
        return {"kind": "FiniteWidth", "evolution": dict(self.evolution.config())}

    @property
    def steps(self) -> int:
        """Steps of the training."""
        return self.evolution.steps
