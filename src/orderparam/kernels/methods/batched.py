"""Many feature-learning strengths and learning rates in one compiled call."""

import itertools
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from orderparam.contract import SavePlan
from orderparam.engine import Run, run_together, sampled_state
from orderparam.errors import UnsupportedCombination
from orderparam.kernels.methods.causal import Causal
from orderparam.kernels.problem import KernelEvolution
from orderparam.kernels.theory.initial import kernels_at_start
from orderparam.kernels.theory.pack import pack_theory
from orderparam.kernels.theory.physics import BLOWN_UP
from orderparam.kernels.theory.program import layout
from orderparam.kernels.theory.sizes import slots_of
from orderparam.results import Solution, Verdict
from orderparam.support.arguments import instance, integer, positive, reals, truth
from orderparam.support.keywords import known_keywords
from orderparam.support.progress import progress as progress_bar
from orderparam.support.settings import library_settings

Point = tuple[float, float]


@known_keywords
def batched(
    problem: KernelEvolution,
    *,
    gamma0: Sequence[float] | None = None,
    learning_rate: Sequence[float] | None = None,
    method: Causal | None = None,
    save: SavePlan | None = None,
    seed: int = 0,
    progress: bool = True,
) -> dict[Point, Solution]:
    """Solve a problem at all combinations of gamma0 and learning rate, mapped over one axis.

    Every point, replicate and coarser run is one member of a single compiled call, with the same
    scramblings at every point (common random numbers). A point that diverges has that verdict and
    does not stop the others.

    Args:
        problem: What is learned; its own values stand where no list is given.
        gamma0: Feature-learning strengths, positive.
        learning_rate: Learning rates, positive.
        method: The causal method with its settings; its defaults if `None`.
        save: What to keep; equal-time quantities only.
        seed: Seed of everything random.
        progress: Show a progress bar where the error stream is a terminal.

    Returns:
        A solution for every pair (gamma0, learning rate), in the order of the lists.

    Raises:
        InvalidProblem: If a value is outside its range.
        UnsupportedCombination: For gradient flow, devices, two-time kernels and fields.
        CapacityExceeded: If the samples cannot hold what a point needs to remember.

    Cost: Memory of the causal method for each point and replicate at once. On one processor the
    time is that of separate solves, or more where points open directions at different times; the
    gain is one compilation, and parallel hardware.

    Example:
        >>> import orderparam as op
        >>> data = op.data.gaussian(count=3, dimension=6)
        >>> problem = op.kernels.KernelEvolution(op.kernels.MLP(1), data, steps=4)
        >>> method = op.kernels.Causal(samples=128, replicates=2, tolerance=1e-2)
        >>> found = op.kernels.batched(problem, gamma0=[0.5, 1.0], method=method, progress=False)
        >>> list(found)
        [(0.5, 0.1), (1.0, 0.1)]
    """
    instance("problem", problem, KernelEvolution, "build one with orderparam.kernels")
    method = Causal() if method is None else method
    instance("method", method, Causal, "give the settings as orderparam.kernels.Causal(...)")
    plan = SavePlan() if save is None else save
    instance("save", plan, SavePlan, "write orderparam.SavePlan(steps=...)")
    seed, progress = integer("seed", seed, 0), truth("progress", progress)
    if problem.gradient_flow or method.devices > 1 or plan.two_time or plan.fields_at:
        raise UnsupportedCombination(
            "batched() follows gradient descent at equal times on one device; leave out "
            "gradient_flow, devices, two_time and fields_at, or call solve() for each point."
        )
    method.require(problem)
    strengths = [problem.gamma0] if gamma0 is None else reals("gamma0", gamma0, positive)
    rates = [problem.learning_rate]
    if learning_rate is not None:
        rates = reals("learning_rate", learning_rate, positive)
    problems = {
        (g, rate): replace(problem, gamma0=g, learning_rate=rate)
        for g, rate in itertools.product(strengths, rates)
    }
    with library_settings():
        start, active = time.perf_counter(), kernels_at_start(problem).active
        runs = _runs(list(problems.values()), method, plan, seed, progress)
        return {
            point: _packed(one, method, plan, members, seed, ([], active, start))
            for (point, one), members in zip(problems.items(), runs, strict=True)
        }


def _runs(
    problems: list[KernelEvolution], method: Causal, save: SavePlan, seed: int, progress: bool
) -> list[list[Run]]:
    """For each problem its replicates and, last, a coarser run."""
    grid = save.grid(problems[0].steps)
    settings = [(r, method.tolerance) for r in range(method.replicates)]
    settings.append((0, 10 * method.tolerance))
    plan, room = layout(problems[0], method.response), method.first_capacity(problems[0])
    states = [
        sampled_state(plan, method.samples, room, tolerance, (seed, r), slots_of(problems[0]))
        for r, tolerance in settings
    ]
    programs = [method.program.of(problem) for problem in problems for _ in settings]
    with progress_bar(int(grid[-1]) + 1, "sweep", progress) as advance:
        last = -1

        def after_block(step: int) -> None:
            nonlocal last
            advance(step - last)
            last = step

        done = run_together(
            programs,
            states * len(problems),
            grid,
            block=min(64, len(grid)),
            after_block=after_block,
        )
    size = len(settings)
    return [done[i : i + size] for i in range(0, len(done), size)]


def _packed(
    problem: KernelEvolution,
    method: Causal,
    save: SavePlan,
    members: list[Run],
    seed: int,
    before: tuple[list[str], float, float],
) -> Solution:
    """The solution of one point."""
    *runs, coarser = members
    # Losses of a point that diverged overflow, which its verdict says already.
    with np.errstate(over="ignore", invalid="ignore"):
        losses = np.stack([run.observed["loss"] for run in members])
        if losses.max() <= BLOWN_UP * losses[:, :2].max():  # false for not-a-number too
            return method.packed(problem, save, runs, coarser, seed, before)
        return pack_theory(
            problem,
            save,
            runs,
            method=method.config(),
            seed=seed,
            verdict=Verdict.DIVERGED,
            message="The loss grew without bound; what is left is shown.",
            diagnostics={"replicates": len(runs), "notes": []},
        )
