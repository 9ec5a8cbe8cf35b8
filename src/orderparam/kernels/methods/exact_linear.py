"""The exact method for linear networks: the same program in exact Gaussian spaces."""

from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx

from orderparam.contract import Estimate, SavePlan
from orderparam.engine import State, exact_state, known, missing, orthogonality_loss, ranks, run
from orderparam.errors import UnsupportedCombination
from orderparam.kernels.problem import KernelEvolution
from orderparam.kernels.theory.diagnosis import ROUNDING, relative_biases
from orderparam.kernels.theory.flow import KernelMethod
from orderparam.kernels.theory.pack import pack_theory
from orderparam.kernels.theory.program import KernelProgram, layout
from orderparam.results import Solution, Verdict
from orderparam.support.arguments import positive, probability
from orderparam.support.progress import progress as progress_bar


class ExactLinear(KernelMethod):
    """Deep linear networks without sampling error: vectors are coefficients of normals.

    Equals the closed algebraic kernel equations of the paper.

    Args:
        tolerance: Relative squared norm below which a direction is not recorded; results are
            accurate to about its square root. In (0, 1).
        accuracy: Relative error asked for, estimated by the root of the largest squared norm that
            was not recorded. Above it the verdict is `error_too_large`.

    Cost: O(P r^2) time per step and layer, O(r^2) memory, r the rank of the histories.

    Source: Bordelon & Pehlevan (2022), deep linear networks; docs/theory/kernels.md, Exact
    solution of linear networks; docs/theory/engine.md, Exact Gaussian spaces.
    """

    name: ClassVar[str] = "exact-linear"
    compilation: ClassVar[tuple[float, float]] = (2.0, 1.4)

    tolerance: float = eqx.field(static=True)
    accuracy: float = eqx.field(static=True)

    def __init__(self, tolerance: float = 1e-22, accuracy: float = 0.01) -> None:
        self.tolerance = probability("tolerance", tolerance, "1e-22 is usual")
        self.accuracy = positive("accuracy", accuracy, "0.01 is usual")

    def config(self) -> Mapping[str, Any]:
        """The settings as plain JSON values."""
        return {"name": self.name, "tolerance": self.tolerance, "accuracy": self.accuracy}

    def cost(self, problem: KernelEvolution, save: SavePlan) -> Estimate:
        """Memory of histories and kernels, and time from the number of products."""
        samples, layers = problem.data.count + problem.data.test_count, problem.network.depth
        block, offsets = samples * problem.network.positions, problem.network.offsets
        rank = _capacity(problem)
        kernels = len(save.grid(problem.steps)) * (2 * layers + 1) * samples**2
        memory = 8 * (24 * layers * offsets * rank**2 + 3 * kernels)
        return Estimate(memory, problem.steps * layers * 48.0 * block * offsets * rank**2 / 4e9)

    def descend(
        self, problem: KernelEvolution, save: SavePlan, seed: int, progress: bool
    ) -> Solution:
        """Run the program once; there is nothing random."""
        if not problem.network.activation.linear:
            raise UnsupportedCombination(
                f"The method exact-linear needs a linear network, but the activation is "
                f"{problem.network.activation.config()}; use the method causal."
            )
        grid = save.grid(problem.steps)
        state = exact_state(layout(problem), _capacity(problem), self.tolerance)
        with progress_bar(problem.steps, "exact", progress) as advance:
            last = -1

            def after_block(step: int, observed: Mapping[str, Any]) -> None:
                nonlocal last
                del observed
                advance(step - last)
                last = step

            result = run(
                KernelProgram.of(problem).observing(grid),
                state,
                grid,
                fields_at=grid.tolist() if save.two_time else (),
                block=min(64, len(grid)),
                after_block=after_block,
            )
        error = missing(result.state) ** 0.5
        exact = error <= self.accuracy
        message = "Exact: no sampling error."
        if error > ROUNDING:
            message += f" What was not recorded is up to {error:.1e} of a vector's length."
        if not exact:
            message += f" That is above `accuracy` = {self.accuracy:g}: lower `tolerance`."
        return pack_theory(
            problem,
            save,
            [result],
            method=self.config(),
            seed=seed,
            verdict=Verdict.CONVERGED if exact else Verdict.ERROR_TOO_LARGE,
            message=message,
            diagnostics=_diagnostics(result.state),
            biases=relative_biases(problem, result.observed, error),
        )


def _diagnostics(state: State) -> dict[str, Any]:
    return {
        "ranks": {name: list(pair) for name, pair in ranks(state).items()},
        "known": known(state),
        "largest_missing": missing(state),
        "orthogonality_loss": orthogonality_loss(state),
        "notes": [],
    }


def _capacity(problem: KernelEvolution) -> int:
    samples, positions = problem.data.count + problem.data.test_count, problem.network.positions
    return 16 * samples + (2 * samples * positions if positions > 1 else 0)
