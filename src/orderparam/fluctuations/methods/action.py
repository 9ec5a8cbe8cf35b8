"""Fluctuations as the paper has them: minus the inverse Hessian of the action at its saddle."""

import time
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int

from orderparam.contract import Estimate, Method, SavePlan
from orderparam.errors import Diverged
from orderparam.fluctuations.problem import FiniteWidth
from orderparam.fluctuations.theory.action.moments import moments_of
from orderparam.fluctuations.theory.action.propagator import propagator
from orderparam.fluctuations.theory.action.saddle import Parameters, saddle, training_of
from orderparam.fluctuations.theory.functions import functions_of
from orderparam.fluctuations.theory.pack import pack
from orderparam.fluctuations.theory.statistics import Moments
from orderparam.fluctuations.theory.supported import require_action
from orderparam.results import Solution
from orderparam.support.arguments import positive

READOUT = 10.0
"""Relative error of variances over the difference of the two readouts: 3 to 8 were measured."""


class Action(Method):
    """The propagator of the action of dynamical mean-field theory: a cross-check of the others.

    For deep linear networks the action N S[q] of all kernels, responses, predictions and their
    duals is explicit, and

        N Cov[q, q'] = -(d^2 S/dq dq')^{-1}   at the saddle

    by another route than influence functions, without neurons, weights or seeds. As in the paper,
    predictions move by the tangent kernel, f(t+1) = f(t) + eta_t K(t) Delta(t). Gradient descent
    has terms of order eta^2 besides; the difference is the known bias of every number. There is no
    decomposition by layers, and no mean shift.

    One sample, centred, up to three hidden layers and 15 steps. `diagnostics` say the norm of the
    gradient at the saddle, `gradient`.

    Args:
        accuracy: Error asked for, as in `Influence`.

    Cost: with L layers and T steps a Hessian of n = (6 L - 2) T^2 + 2 T rows, n^2 memory and n^3
    time: 1020 rows for two layers and ten steps, 3630 at most.

    Raises:
        NotConverged: If the gradient of the action at the saddle is above 1e-6.

    Source: Bordelon & Pehlevan (2023), sections 3 and 4; docs/theory/fluctuations.md, Action.
    """

    family: ClassVar[str] = "fluctuations"
    name: ClassVar[str] = "action"

    accuracy: float = eqx.field(static=True)

    def __init__(self, accuracy: float = 0.1) -> None:
        self.accuracy = positive("accuracy", accuracy, "0.1 is usual")

    def config(self) -> Mapping[str, Any]:
        """The settings as plain JSON values."""
        return {"name": self.name, "accuracy": self.accuracy}

    def estimate(self, problem: FiniteWidth, save: SavePlan) -> Estimate:
        """Memory of the Hessian and of its factors, and time of both."""
        steps = int(save.grid(problem.evolution.steps)[-1]) + 1
        rows = (6 * problem.evolution.network.depth - 2) * steps**2 + 2 * steps
        return Estimate(2**28 + 32 * rows**2, 1e-3 * rows + 1e-10 * rows**3, 10.0)

    def solve(self, problem: FiniteWidth, save: SavePlan, seed: int, progress: bool) -> Solution:
        """Find the saddle, expand the action around it, and invert."""
        del progress
        evolution, steps = problem.evolution, save.grid(problem.evolution.steps)
        require_action(self.name, problem, save)
        began = time.perf_counter()
        training, depth = training_of(evolution, int(steps[-1]) + 1), evolution.network.depth
        q = saddle(training, depth)
        plain = saddle(training, depth, kernel_readout=False)
        if not all(np.isfinite(part).all() for part in (*q, *plain)):
            raise Diverged("The order parameters are not finite; lower the learning rate.")
        covariance, gradient = propagator(training, q)
        found = moments_of(functions_of(evolution), training.y, q, covariance)
        left_out = READOUT * _apart(q, plain)
        smallest = np.linalg.eigvalsh(covariance)
        return pack(
            problem,
            steps,
            [_saved(found, steps)],
            [],
            method=self.config(),
            seed=seed,
            accuracy=self.accuracy,
            remedy="Lower `learning_rate`, as predictions move by the kernel here.",
            seen={
                "gradient": gradient, "readout_error": left_out,
                "smallest_eigenvalue": float(smallest.min() / smallest.max()),
            },
            seconds=time.perf_counter() - began,
            left_out=np.full(len(steps), left_out),
            by_layer=False,
            said=f"Norm of the gradient of the action at its saddle: {gradient:.1e}.",
        )  # fmt: skip


def _apart(q: Parameters, plain: Parameters) -> float:
    """Difference of predictions by the kernel and by the readout, relative to their size."""

    def size(values: Float[np.ndarray, " time"]) -> float:
        return float(np.sqrt(np.mean(values**2)))

    reached = size(q.Delta[0] - q.Delta)
    return size(q.Delta - plain.Delta) / reached if reached > 0 else 0.0


def _saved(found: Moments, steps: Int[np.ndarray, " saved"]) -> Moments:
    """The saved steps of moments at all of them."""
    limit, variance = (
        {n: np.asarray(a)[steps] for n, a in part.items()} for part in (found.limit, found.variance)
    )
    return Moments(limit, variance, None)
