"""The three verbs and their companions, the same for every family."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from orderparam.contract import Estimate, Method, Problem, SavePlan
from orderparam.errors import Diverged, InvalidProblem, NotConverged, UnsupportedCombination
from orderparam.memory import require_memory
from orderparam.results import Solution, Verdict
from orderparam.results import load as load_file


def solve(
    problem: Problem,
    method: Method | None = None,
    *,
    save: SavePlan | None = None,
    seed: int = 0,
    progress: bool = True,
    throw: bool = True,
) -> Solution:
    """Compute the order parameters of a problem in the limit where they are deterministic.

    Runs in float64 whatever JAX's setting, and leaves that setting alone.

    Args:
        problem: What is learned.
        method: How to solve it; the problem's default if `None`.
        save: What to keep; equal-time quantities at up to 201 steps if `None`.
        seed: Seed of everything random, a non-negative integer.
        progress: Show a progress bar where the error stream is a terminal.
        throw: Raise `NotConverged` if the result misses its stated accuracy; with `False` the
            result comes back with its verdict.

    Returns:
        Labelled arrays with standard errors, diagnostics and a verdict.

    Raises:
        NotConverged: If the verdict is not `converged` and `throw` is true.
        Diverged: If a quantity grew without bound.
        CapacityExceeded: If the samples cannot hold what the method needs to remember, or the
            machine has too little memory.
        InvalidProblem, UnsupportedCombination: If the problem and the method do not fit.
    """
    problem, method, save = _arguments(problem, method, save)
    _check_seed(seed)
    require_memory(
        method.estimate(problem, save).memory,
        f"The problem and the method {method.name}",
        "save fewer steps, leave out two_time, or lower the size of the method",
    )
    with jax.enable_x64(True):
        solution = method.solve(problem, save, seed, progress)
    if throw and not solution.verdict.ok:
        broken = solution.verdict in (Verdict.DIVERGED, Verdict.NON_FINITE)
        raise (Diverged if broken else NotConverged)(
            f"{solution.message} {solution.verdict.remedy} Call with throw=False for the result."
        )
    return solution


def simulate(
    problem: Problem,
    *,
    seeds: int | Sequence[int],
    save: SavePlan | None = None,
    seed: int = 0,
    progress: bool = True,
    precision: str = "float32",
    **sizes: Any,
) -> Solution:
    """Train the finite system of a problem and measure the theory's variables.

    Args:
        problem: What is learned.
        seeds: Number of runs per size; one number, or one for each size.
        save: What to keep, as in `solve`.
        seed: Seed of everything random.
        progress: Show a progress bar where the error stream is a terminal.
        precision: `float32` or `float64`.
        **sizes: The family's size, such as `width=[256, 1024]` for networks.

    Returns:
        The theory's variables with leading dimensions for size and seed.

    Raises:
        InvalidProblem: If a size, a number of runs or the precision is not allowed.
        Diverged: If a run became non-finite.
    """
    problem, _, save = _arguments(problem, None, save)
    _check_seed(seed)
    return problem.simulate(sizes, seeds, save, seed, precision=precision, progress=progress)


def estimate(
    problem: Problem, method: Method | None = None, *, save: SavePlan | None = None
) -> Estimate:
    """Predict memory and time of `solve` before any work starts.

    Example:
        >>> import orderparam as op
        >>> data = op.data.gaussian(count=4, dimension=8)
        >>> network = op.kernels.MLP(depth=2)
        >>> problem = op.kernels.KernelEvolution(network, data, steps=20)
        >>> op.estimate(problem).memory > 0
        True
    """
    problem, method, save = _arguments(problem, method, save)
    return method.estimate(problem, save)


def load(path: str | Path) -> Solution:
    """Read a saved solution; nothing in the file is executed.

    Raises:
        CorruptFile: If the file is damaged or not one of ours.
        FileNotFoundError: If there is none.
    """
    return load_file(Path(path))


def _arguments(problem: Any, method: Any, save: Any) -> tuple[Problem, Method, SavePlan]:
    for name, value, kind in (("problem", problem, Problem), ("method", method, Method)):
        if not isinstance(value, kind) and not (value is None and kind is Method):
            raise InvalidProblem(
                f"Argument `{name}` must be a {kind.__name__}, but is a {type(value).__name__}; "
                "build one from a family, such as orderparam.kernels."
            )
    method = problem.default_method() if method is None else method
    if problem.family != type(method).__module__.split(".")[1]:
        raise UnsupportedCombination(
            f"The method {method.name} does not belong to the family {problem.family} of the "
            f"problem; use one from orderparam.{problem.family}."
        )
    if save is not None and not isinstance(save, SavePlan):
        raise InvalidProblem(
            f"Argument `save` must be a SavePlan, but is a {type(save).__name__}; "
            "write save=orderparam.SavePlan(steps=...)."
        )
    return problem, method, SavePlan() if save is None else save


def _check_seed(seed: Any) -> None:
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise InvalidProblem(
            f"Argument `seed` must be an integer of at least 0, but is {seed!r}; choose one."
        )
