"""The three verbs and their companions, the same for every family."""

import os
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from orderparam.comparison import Comparison
from orderparam.contract import Estimate, Method, Problem, SavePlan
from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.families import family, kind_of, known
from orderparam.results import Solution
from orderparam.results import load as load_file
from orderparam.results.renaming import with_new_names
from orderparam.support.arguments import (
    checked_path,
    instance,
    integer,
    one_of,
    refuse,
    truth,
)
from orderparam.support.keywords import known_keywords, unknown
from orderparam.support.settings import library_settings

_TRAINING = ("seeds", "save", "seed", "progress", "precision")


@known_keywords
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
    return method.run(
        problem,
        save=save,
        seed=integer("seed", seed, least=0),
        progress=truth("progress", progress),
        throw=truth("throw", throw),
    )


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
        UnknownArgument: If the family's systems have no such size or option.
        Diverged: If a run became non-finite.
    """
    save = _saved(save)
    kind = kind_of(_instance("problem", problem, Problem))
    for name in sizes:
        if name not in (kind.size, *kind.options):
            raise unknown(
                f"simulate() of {kind.system}, whose size is `{kind.size}`,",
                name,
                ("problem", kind.size, *_TRAINING, *kind.options),
            )
    options = {name: value for name, value in sizes.items() if name != kind.size}
    options["progress"] = truth("progress", progress)
    options["precision"] = one_of("precision", precision, ("float32", "float64"))
    seed = integer("seed", seed, least=0)
    with library_settings(precision == "float64"):
        return kind.experiment(problem, sizes.get(kind.size), seeds, save, seed, **options)


@known_keywords
def estimate(
    problem: Problem, method: Method | None = None, *, save: SavePlan | None = None
) -> Estimate:
    """Predict memory and time of `solve` before any work starts.

    Times are guesses for one core of a usual machine. The first solve of its kind in a process
    also compiles, which often takes longer than the run: `compilation` is what that took where it
    was measured, for each method by the depth of the network or by itself.

    Args:
        problem: What is learned.
        method: How it is solved; the problem's default if `None`.
        save: What is kept.

    Returns:
        `memory` in bytes, `seconds` of the run and `compilation` seconds before it.

    Raises:
        InvalidProblem, UnsupportedCombination: If the problem and the method do not fit.

    Example:
        >>> import orderparam as op
        >>> data = op.data.gaussian(count=4, dimension=8)
        >>> network = op.kernels.MLP(depth=2)
        >>> problem = op.kernels.KernelEvolution(network, data, steps=20)
        >>> op.estimate(problem).memory > 0
        True
    """
    problem, method, save = _arguments(problem, method, save)
    with library_settings():
        return method.estimate(problem, save)


@known_keywords
def load(path: str | os.PathLike[str]) -> Solution:
    """Read a saved solution; nothing in the file is executed.

    Spellings that have changed since the file was written are translated.

    Raises:
        CorruptFile: If the file is damaged or not one of ours.
        MissingFile: If there is none.
    """
    solution = load_file(checked_path("path", path))
    home = known(solution.family)
    return solution if home is None else with_new_names(solution, home.renamed)


@known_keywords
def citation(result: Solution | Comparison) -> str:
    """BibTeX of everything that a result used.

    Args:
        result: A solution or a comparison.

    Returns:
        One entry per source, separated by empty lines, ready for a `.bib` file.

    Raises:
        InvalidProblem: If a source is unknown to this version of the library.
        UnsupportedCombination: If the result's family is not known here.
    """
    if not isinstance(result, Solution | Comparison):
        raise refuse("result", result, "a Solution or a Comparison", "give what a verb returned")
    known = family(result.family).citations
    for key in result.sources:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise InvalidProblem(
                f"The source {key!r} is not known to the family {result.family}{hint}; it has "
                f"{', '.join(known)}. Load the result with the version that wrote it."
            )
    return "\n\n".join(known[key].bibtex(key) for key in result.sources)


def _arguments(problem: Any, method: Any, save: Any) -> tuple[Problem, Method, SavePlan]:
    problem = _instance("problem", problem, Problem)
    if method is None:
        return problem, kind_of(problem).default_method(problem), _saved(save)
    if problem.family != _instance("method", method, Method).family:
        raise UnsupportedCombination(
            f"The method {method.name} belongs to the family {method.family}, but the problem to "
            f"{problem.family}; use one from orderparam.{problem.family}."
        )
    return problem, method, _saved(save)


def _instance(name: str, value: Any, kind: type) -> Any:
    return instance(name, value, kind, "build one from a family, such as orderparam.kernels")


def _saved(save: Any) -> SavePlan:
    plan = SavePlan() if save is None else save
    return instance("save", plan, SavePlan, "write save=orderparam.SavePlan(steps=...)")
