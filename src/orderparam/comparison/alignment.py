"""Bringing a theory and an experiment to the same axes, or saying why they do not fit."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float

from orderparam.errors import IncompatibleSolutions
from orderparam.results.plain import first_difference
from orderparam.results.sizes import size_of
from orderparam.results.solution import Solution
from orderparam.results.uncertainty import ERRORS

# Coordinates such as learning rate times step are products that may be rounded differently.
_COORDINATE_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Aligned:
    """One variable of both sides with all its entries in one axis.

    `obstacle` says why it cannot be tested, and is empty where it can. `rounding` is the relative
    difference that the precision of the runs explains where neither side has any spread. `trials`
    is their number in each run where the variable is a fraction of events.
    """

    name: str
    theory: Float[np.ndarray, " entry"]
    theory_error: Float[np.ndarray, " entry"] | None
    runs: Float[np.ndarray, "width seed entry"]
    valid: Bool[np.ndarray, "width seed"]
    widths: Float[np.ndarray, " width"]
    trials: Float[np.ndarray, "width entry"] | None
    rounding: float
    obstacle: str


def check_pair(theory: Solution, experiment: Solution) -> None:
    """Refuse two results that are not theory and experiment of one problem.

    Raises:
        IncompatibleSolutions: Naming the first difference.
    """
    if (theory.kind, experiment.kind) != ("theory", "experiment"):
        raise IncompatibleSolutions(
            f"`compare` takes a theory and then an experiment, but was given a {theory.kind} and "
            f"then a {experiment.kind}; give the result of `solve` first and that of `simulate` "
            "second."
        )
    difference = first_difference(theory.family, experiment.family, "family")
    difference = difference or first_difference(theory.problem, experiment.problem, "problem")
    if difference:
        raise IncompatibleSolutions(
            f"The two results describe different problems: {difference}; solve and simulate the "
            "same problem."
        )


def align(theory: Solution, experiment: Solution, name: str) -> Aligned:
    """Bring the variable `name` of both sides to the same axes.

    Args:
        theory: Where `name` has dimensions `rest`.
        experiment: Where `name` has a size dimension, `seed` and `rest` in any order.
        name: The variable.

    Returns:
        Both sides with `rest` flattened into one axis, sizes without any run left out.

    Raises:
        IncompatibleSolutions: If dimensions, lengths or coordinates of `rest` differ.
    """
    left, right = theory[name], experiment[name]
    size = _check_axes(name, left, right)
    right = right.transpose(size, "seed", *left.dims)
    counts = (right.sizes[size], right.sizes["seed"])
    valid = np.ones(counts, dtype=bool)
    if "run_valid" in experiment:
        valid = experiment["run_valid"].transpose(size, "seed").values.astype(bool)
    present = np.asarray(valid.any(axis=1))
    runs = _floats(right).reshape(*counts, -1)
    if not present.all():
        runs, valid = runs[present], valid[present]
    theory_error = _theory_error(theory, left)
    single = experiment.dataset.attrs.get("precision") == "float32"
    values = _floats(left).ravel()
    return Aligned(
        name=name,
        theory=values,
        theory_error=theory_error,
        runs=runs,
        valid=valid,
        widths=_widths(right, size)[present],
        trials=_trials(experiment, right, size, present),
        rounding=32 * float(np.finfo(np.float32).eps) if single else 1e-12,
        obstacle=_obstacle(values, theory_error, runs, valid, _widths(right, size)[present]),
    )


def _theory_error(theory: Solution, variable: xr.DataArray) -> Float[np.ndarray, " entry"] | None:
    """Standard error and known bias of each entry together; `None` where the theory is exact.

    Not widened by Student's t, as the test counts the replicates itself.
    """
    parts = [theory[variable.attrs[kind]] for kind in ERRORS if kind in variable.attrs]
    if not parts:
        return None
    flat = [_floats(part.transpose(*variable.dims)).ravel() for part in parts]
    return np.sqrt(sum(part**2 for part in flat))


def _obstacle(
    theory: Float[np.ndarray, " entry"],
    theory_error: Float[np.ndarray, " entry"] | None,
    runs: Float[np.ndarray, "width seed entry"],
    valid: Bool[np.ndarray, "width seed"],
    widths: Float[np.ndarray, " width"],
) -> str:
    """Why the statistic cannot be computed; empty if it can."""
    counts = valid.sum(axis=1)
    if not len(counts):
        return "no run is valid; lower the learning rate and simulate again"
    # With one or two widths only the widest enters.
    used = counts if len(counts) > 2 else counts[[np.argmax(widths)]]
    if used.min() < 2:
        return "a size has a single valid run, so its spread is unknown; use two or more seeds"
    if not (
        np.isfinite(theory).all() and (theory_error is None or np.isfinite(theory_error).all())
    ):
        return "the theory has entries that are not finite"
    if not all(np.isfinite(run).all() for run in runs[valid]):
        return "a valid run has entries that are not finite"
    return ""


def _trials(
    experiment: Solution, runs: xr.DataArray, size: str, present: Bool[np.ndarray, " width"]
) -> Float[np.ndarray, "width entry"] | None:
    """How many trials each run counts, where the variable says so."""
    name = runs.attrs.get("trials")
    if name is None or name not in experiment:
        return None
    single = runs.isel(seed=0, drop=True)
    counts = experiment[name].broadcast_like(single).transpose(*single.dims)
    return _floats(counts).reshape(runs.sizes[size], -1)[present]


def _floats(array: xr.DataArray) -> Float[np.ndarray, "..."]:
    """The values, counts and booleans as floats."""
    return array.values if array.dtype.kind == "f" else array.values.astype(float)


def _widths(runs: xr.DataArray, size: str) -> Float[np.ndarray, " width"]:
    """The sizes as numbers, checked to be usable in a regression on 1/N."""
    if size not in runs.coords:
        raise IncompatibleSolutions(
            f"The experiment has no coordinate `{size}`, which the extrapolation to infinite size "
            "needs; give the sizes when building it."
        )
    widths = runs[size].values.astype(float)
    if np.any(widths <= 0) or len(np.unique(widths)) < len(widths):
        raise IncompatibleSolutions(
            f"The values of `{size}` in the experiment are {widths.tolist()}, but they must be "
            "positive and distinct; join runs of equal size along `seed`."
        )
    return widths


def _check_axes(name: str, left: xr.DataArray, right: xr.DataArray) -> str:
    """Compare dimensions, lengths and coordinates of one variable; returns the size dimension."""
    size = size_of(right)
    rest = [dim for dim in right.dims if dim not in (size, "seed")]
    if not size or set(rest) != set(left.dims):
        raise IncompatibleSolutions(
            f"Variable {name!r} has dimensions {left.dims} in the theory but {tuple(rest)} beside "
            f"{size or 'size'} and seed in the experiment; compare results of the same quantities."
        )
    for dim in left.dims:
        if left.sizes[dim] != right.sizes[dim]:
            raise IncompatibleSolutions(
                f"Dimension {dim!r} of {name!r} has length {left.sizes[dim]} in the theory but "
                f"{right.sizes[dim]} in the experiment; save both at the same points."
            )
    theirs = {label for label in right.coords if not set(right[label].dims) & {size, "seed"}}
    for label in sorted(map(str, set(left.coords) | theirs)):
        if label not in left.coords or label not in right.coords:
            side = "theory" if label in left.coords else "experiment"
            raise IncompatibleSolutions(
                f"Only the {side} has the coordinate {label!r} of {name!r}; compare results that "
                "label their axes alike."
            )
        if not _same_labels(left[label], right[label]):
            raise IncompatibleSolutions(
                f"The coordinate {label!r} of {name!r} differs: theory "
                f"{_ends(left[label].values)}, experiment {_ends(right[label].values)}; save both "
                "at the same points."
            )
    return size


def _same_labels(left: xr.DataArray, right: xr.DataArray) -> bool:
    """Whether two coordinates agree, floats up to rounding."""
    if set(left.dims) != set(right.dims):
        return False
    a, b = left.values, right.transpose(*left.dims).values
    if a.dtype.kind == "f" and b.dtype.kind == "f":
        return bool(np.allclose(a, b, rtol=_COORDINATE_TOLERANCE, atol=0, equal_nan=True))
    return bool(np.array_equal(a, b))


def _ends(values: np.ndarray) -> str:
    """The first values of a coordinate for a message."""
    flat = values.ravel().tolist()
    return f"{flat[:4]}" if len(flat) <= 4 else f"{flat[:4]}..."
