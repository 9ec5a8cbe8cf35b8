"""The contract that every family keeps, run on one of its problems."""

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr

from orderparam import verbs
from orderparam.comparison import compare
from orderparam.contract import Method, Problem, SavePlan
from orderparam.errors import InvalidProblem, OrderParamError
from orderparam.families import kind_of
from orderparam.results import SIZES, Solution
from orderparam.results import load as load_file
from orderparam.support.arguments import instance, integer
from orderparam.support.keywords import known_keywords


@known_keywords
def check_theory(
    problem: Problem,
    method: Method | None = None,
    *,
    save: SavePlan | None = None,
    seeds: int = 2,
    **sizes: Any,
) -> list[str]:
    """Run the contract of a family on one problem, for whoever contributes a theory.

    Theory: plain settings, an estimate before any work, float64 results that leave the caller's
    setting of JAX alone, bit-identical results for one seed, finite numbers under the verdict
    `converged`, meaning and symbol with every variable, standard errors of equal shape, files that
    load to the same result, known citations, typed errors for bad arguments. Experiment, if a size
    is given: the variables and dimensions of the theory behind size and seed, and a comparison.

    Args:
        problem: A problem that is solved in seconds; it is solved twice.
        method: How to solve it; the problem's default if `None`.
        save: What to keep.
        seeds: Runs of the experiment for each size.
        **sizes: The family's size, such as `width=[32, 64]`; without one only the theory is run.

    Returns:
        Names of the checks that were made, in order.

    Raises:
        AssertionError: At the first part of the contract that is broken, in a sentence.

    Example:
        >>> import orderparam as op
        >>> data = op.data.gaussian(count=3, dimension=6)
        >>> network = op.kernels.MLP(depth=2, activation="linear")
        >>> problem = op.kernels.KernelEvolution(network, data, steps=4)
        >>> len(op.check_theory(problem, width=[16, 32, 64]))
        10
    """
    kind = kind_of(instance("problem", problem, Problem, "build one from a family"))
    if method is not None:
        instance("method", method, Method, "build one from a family")
    plan = SavePlan() if save is None else save
    instance("save", plan, SavePlan, "write save=orderparam.SavePlan(steps=...)")
    seeds = integer("seeds", seeds)
    chosen = kind.default_method(problem) if method is None else method
    checks: dict[str, Callable[[], None]] = {
        "configuration": lambda: _check_configuration(problem, chosen),
        "estimate": lambda: _check_estimate(problem, chosen, plan),
        "errors": lambda: _check_errors(problem, chosen),
    }
    for check in checks.values():
        check()
    first, again = (_solved(problem, chosen, plan) for _ in range(2))
    checks |= {
        "precision": lambda: _check_precision(first),
        "seed": lambda: _require(
            first.dataset.equals(again.dataset), "One seed gives two different results."
        ),
        "labels": lambda: _check_labels(first),
        "verdict": lambda: _check_verdict(first),
        "file": lambda: _check_file(first),
        "citation": lambda: _require(bool(verbs.citation(first)), "The result cites no source."),
    }
    if sizes:
        checks["experiment"] = lambda: _check_experiment(problem, first, plan, seeds, sizes)
    for check in list(checks.values())[3:]:
        check()
    return list(checks)


def _require(holds: bool, sentence: str) -> None:
    """A broken contract is an error of the family, not of its user."""
    if not holds:
        raise AssertionError(sentence)


def _solved(problem: Problem, method: Method, save: SavePlan) -> Solution:
    before = jax.config.read("jax_enable_x64")
    solution = verbs.solve(problem, method, save=save, progress=False, throw=False)
    _require(jax.config.read("jax_enable_x64") == before, "solve() changed JAX's precision.")
    return solution


def _check_configuration(problem: Problem, method: Method) -> None:
    """Settings are plain values, and the parts belong to one family."""
    for what, part in (("problem", problem), ("method", method)):
        text = json.dumps(part.config(), sort_keys=True)
        _require(
            text == json.dumps(part.config(), sort_keys=True),
            f"config() of the {what} differs between two calls.",
        )
        arrays = [leaf for leaf in jax.tree.leaves(part) if isinstance(leaf, jax.Array)]
        _require(not arrays, f"The {what} holds JAX arrays; keep NumPy arrays.")
    _require(method.config().get("name") == method.name, "config() of the method lacks its name.")
    _require(
        method.family == problem.family,
        f"The method {method.name} does not belong to the family {problem.family}.",
    )


def _check_estimate(problem: Problem, method: Method, save: SavePlan) -> None:
    cost = method.estimate(problem, save)
    _require(cost.memory > 0 and cost.seconds >= 0, f"estimate() predicts {cost}.")


def _check_errors(problem: Problem, method: Method) -> None:
    """A bad argument meets a typed error whose sentence names it."""
    try:
        verbs.solve(problem, method, seed=-1, progress=False)
    except OrderParamError as error:
        named = isinstance(error, InvalidProblem) and "`seed`" in str(error)
        _require(named, f"A negative seed is answered by: {error}")
    else:
        raise AssertionError("A negative seed is accepted.")


def _check_precision(theory: Solution) -> None:
    _require(theory.dataset.attrs["precision"] == "float64", "The theory is not in float64.")
    for name in theory.variables:
        kind = theory[name].dtype
        _require(kind.kind != "f" or kind == np.float64, f"`{name}` is {kind}, not float64.")


def _check_labels(theory: Solution) -> None:
    """Every variable says what it is; standard errors have its shape."""
    _require(bool(theory.variables), "The result has no variables.")
    for name in theory.variables:
        array = theory[name]
        for label in ("long_name", "symbol"):
            _require(bool(array.attrs.get(label)), f"`{name}` has no {label}.")
        error = array.attrs.get("standard_error")
        if error is not None:
            _require(error == f"{name}_se", f"The error of `{name}` is called `{error}`.")
            _require(theory[error].dims == array.dims, f"`{error}` has other dimensions.")


def _check_verdict(theory: Solution) -> None:
    """A converged result is finite; every result says something."""
    _require(bool(theory.message), "The result has no message.")
    _require(bool(theory.verdict.remedy), "The verdict has no remedy.")
    if theory.verdict.ok:
        for name in theory.variables:
            values = theory[name].values
            finite = values.dtype.kind != "f" or bool(np.isfinite(values).all())
            _require(finite, f"`{name}` is not finite although the verdict is `converged`.")


def _check_file(theory: Solution) -> None:
    with tempfile.TemporaryDirectory() as folder:
        loaded = load_file(theory.save(Path(folder) / "theory.nc"))
    xr.testing.assert_identical(loaded.dataset, theory.dataset)


def _check_experiment(
    problem: Problem, theory: Solution, save: SavePlan, seeds: int, sizes: dict[str, Any]
) -> None:
    """The experiment measures the theory's variables, size and seed in front."""
    size = next(iter(sizes))
    _require(size in SIZES, f"The size `{size}` is not one of {', '.join(SIZES)}.")
    networks = verbs.simulate(problem, seeds=seeds, save=save, progress=False, **sizes)
    shared = [n for n in theory.variables if n in networks and _is_run(networks, n, size)]
    _require(bool(shared), "Theory and experiment share no variable.")
    for name in shared:
        behind = networks[name].dims[2:]
        _require(networks[name].dims[:2] == (size, "seed"), f"`{name}` lacks size or seed.")
        _require(behind == theory[name].dims, f"`{name}` has the dimensions {behind}.")
    rows: Sequence[Any] = compare(theory, networks).table
    _require(bool(rows), "The comparison is empty.")


def _is_run(networks: Solution, name: str, size: str) -> bool:
    return name in networks.variables and size in networks[name].dims
