"""The errors that a result holds beside its variables, and what they add up to."""

import json

import numpy as np
import xarray as xr
from jaxtyping import Float

from orderparam.support.later import special

ERRORS = ("standard_error", "bias")
"""Attributes of a variable that name the variables which hold its errors."""

COUNTS = "trials"
"""Attribute of a variable that names the one which counts the trials behind each value."""

REPLICATES = 8
"""Replicates behind standard errors where the method names no number."""


def quantities(dataset: xr.Dataset) -> tuple[str, ...]:
    """Names of the variables of a dataset that are not errors of others."""
    errors = {v.attrs.get(kind) for v in dataset.data_vars.values() for kind in ERRORS}
    return tuple(str(name) for name in dataset.data_vars if name not in errors)


def unfit(dataset: xr.Dataset) -> str:
    """The first variable whose attributes name errors or trials that cannot be its own; else empty.

    Errors are real numbers along the axes of their variable, trials numbers along some of them.
    """
    for name, variable in dataset.variables.items():
        for kind in (*ERRORS, COUNTS):
            if kind not in variable.attrs:
                continue
            other = variable.attrs[kind]
            if not isinstance(other, str) or other not in dataset.variables:
                return f"the {kind} of {name!r} is {other!r}, which it does not hold"
            own, named = set(variable.dims), dataset.variables[other]
            if kind == COUNTS:
                fits = named.dtype.kind in "biuf" and set(named.dims) <= own
            else:
                fits = named.dtype.kind == "f" and set(named.dims) == own
            if not fits:
                return f"the {kind} of {name!r} is {other!r}, an array of another kind or shape"
    return ""


def total_error(dataset: xr.Dataset, name: str) -> xr.DataArray:
    """Standard error and known bias of a variable as one number, zero where it is exact.

    `hypot(t se, bias)`, with t Student's quantile of one standard deviation for the replicates
    behind the standard error, in units of the normal one: 1.84 for two, 1.20 for four.
    """
    variable = dataset[name]
    total = np.zeros(variable.shape)
    if "standard_error" in variable.attrs:
        standard = dataset[variable.attrs["standard_error"]].transpose(*variable.dims)
        total = _widening(dataset) * standard.values.astype(float)
    if "bias" in variable.attrs:
        total = np.hypot(total, dataset[variable.attrs["bias"]].transpose(*variable.dims).values)
    return variable.copy(data=total).drop_attrs()


def relative_bias(
    values: Float[np.ndarray, "..."], error: Float[np.ndarray, "..."]
) -> Float[np.ndarray, "..."]:
    """One relative error on all entries, in units of the largest finite one.

    Args:
        values: A variable.
        error: Relative errors along its first axes; entries behind these share one.

    Returns:
        Biases of the shape of `values`.
    """
    spread = error.reshape(*error.shape, *(1,) * (values.ndim - error.ndim))
    behind = tuple(range(error.ndim, values.ndim))
    finite = np.where(np.isfinite(values), np.abs(values), 0.0)
    size = finite.max(axis=behind, keepdims=True) if behind else finite
    return np.broadcast_to(spread * size, values.shape).copy()


def replicates(dataset: xr.Dataset) -> int:
    """Number of replicates behind the standard errors of a result."""
    number = json.loads(dataset.attrs["method"]).get("replicates")
    return number if isinstance(number, int) and number > 1 else REPLICATES


def _widening(dataset: xr.Dataset) -> float:
    return float(special.stdtrit(replicates(dataset) - 1, special.ndtr(1.0)))
