"""Putting arrays and their circumstances together into a solution."""

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from platform import python_version
from typing import Any, Literal

import numpy as np
import xarray as xr
from jaxtyping import Float, Shaped

from orderparam.errors import InvalidProblem
from orderparam.results.netcdf import SCHEMA_VERSION
from orderparam.results.plain import plain
from orderparam.results.solution import Solution
from orderparam.results.uncertainty import ERRORS
from orderparam.results.verdict import Verdict


@dataclass(frozen=True)
class Variable:
    """One quantity of a result.

    Args:
        dims: Names of the dimensions, in the order of the axes of `values`.
        values: Real numbers or booleans.
        long_name: Meaning in words.
        symbol: Symbol of the field, as LaTeX without dollar signs.
        units: Unit, empty for pure numbers.
        se: Standard errors, of the shape of `values`, where they come from sampling.
        bias: Estimates of the size of a known bias (truncation, quadrature, finite draws), of the
            same shape and at least 0.
        trials: Where each value is a fraction of events: what counts its trials, by name.
    """

    dims: tuple[str, ...]
    values: Shaped[np.ndarray, "..."]
    long_name: str
    symbol: str = ""
    units: str = ""
    se: Float[np.ndarray, "..."] | None = None
    trials: str = ""
    bias: Float[np.ndarray, "..."] | None = None


@dataclass(frozen=True)
class Coordinate:
    """Labels along dimensions; a coordinate with the name of its one dimension indexes it.

    Args:
        dims: Names of the dimensions that it labels.
        values: Numbers, booleans or strings.
        long_name: Meaning in words.
        units: Unit, empty for pure numbers.
    """

    dims: tuple[str, ...]
    values: Shaped[np.ndarray, "..."]
    long_name: str
    units: str = ""


def build_solution(
    variables: Mapping[str, Variable],
    coords: Mapping[str, Coordinate],
    *,
    family: str,
    kind: Literal["theory", "experiment"],
    problem: Mapping[str, Any],
    method: Mapping[str, Any],
    seed: int,
    verdict: Verdict,
    message: str,
    diagnostics: Mapping[str, Any],
    precision: str,
    device: str,
    wall_time: float,
    compile_time: float | None,
    sources: Sequence[str],
) -> Solution:
    """Put arrays and their circumstances together into a solution.

    Args:
        variables: Quantities by name; standard errors and biases become `NAME_se`, `NAME_bias`.
        coords: Labels by name.
        family: Family of the problem.
        kind: Whether theory or experiment.
        problem: The problem as plain values.
        method: The method and its settings as plain values.
        seed: Seed of everything random.
        verdict: How the run ended.
        message: What this run has to say beyond its verdict.
        diagnostics: What the method noticed about itself, as plain values.
        precision: `float32` or `float64`.
        device: What it ran on.
        wall_time: Seconds of the run without compilation.
        compile_time: Seconds of compilation, `None` where it was not measured.
        sources: Keys of the works it builds on.

    Returns:
        The solution; all arrays are copies.

    Raises:
        InvalidProblem: If shapes and dimensions disagree, a type cannot be stored, a name is
            taken twice or a source is unknown.
    """
    attributes: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "family": family,
        "kind": kind,
        "seed": int(seed),
        "verdict": Verdict(verdict).value,
        "message": message,
        "precision": precision,
        "device": device,
        "wall_time": float(wall_time),
    }
    if compile_time is not None:
        attributes["compile_time"] = float(compile_time)
    described = {
        "problem": problem,
        "method": method,
        "diagnostics": diagnostics,
        "sources": list(dict.fromkeys(sources)),
    }
    for name, value in described.items():
        attributes[name] = json.dumps(plain(value, name), ensure_ascii=False, allow_nan=False)
    quantities = _quantities(variables)
    labels = {
        name: _stored(name, c.dims, c.values, {"long_name": c.long_name, "units": c.units})
        for name, c in coords.items()
    }
    _check_sizes(quantities, labels)
    return Solution(xr.Dataset(quantities, coords=labels, attrs=attributes | _circumstances()))


def _quantities(variables: Mapping[str, Variable]) -> dict[str, xr.Variable]:
    """Each quantity, followed by its standard error and its bias where there are any."""
    stored: dict[str, xr.Variable] = {}
    for name, variable in variables.items():
        attrs = {
            "long_name": variable.long_name,
            "symbol": variable.symbol,
            "units": variable.units,
        }
        attrs |= {"trials": variable.trials} if variable.trials else {}
        stored[name] = _stored(name, variable.dims, variable.values, attrs)
        for kind, (ending, values) in zip(
            ERRORS, (("se", variable.se), ("bias", variable.bias)), strict=True
        ):
            if values is None:
                continue
            error = f"{name}_{ending}"
            if error in variables:
                raise InvalidProblem(
                    f"Variable {name!r} has a {kind.replace('_', ' ')}, which is stored as "
                    f"{error!r}, but a variable {error!r} is given too; give it once."
                )
            stored[name].attrs[kind] = error
            meaning = f"{kind.replace('_', ' ')} of {variable.long_name}"
            labels = {"long_name": meaning, "units": variable.units}
            stored[error] = _stored(error, variable.dims, values, labels)
    return stored


def _stored(
    name: str, dims: tuple[str, ...], values: Shaped[np.ndarray, "..."], attrs: dict[str, str]
) -> xr.Variable:
    """A copy of `values` with names, in a type that files can hold."""
    array = np.array(values)
    if array.dtype.kind in "OU":
        # The shortest type that holds the strings, as after loading.
        array = np.array([str(v) for v in array.ravel()], dtype=str).reshape(array.shape)
    elif array.dtype.kind not in "biuf" or array.dtype.name in {"float16", "longdouble"}:
        raise InvalidProblem(
            f"The values of {name!r} have type {array.dtype}, but files hold booleans, integers, "
            "float32, float64 and strings; convert them, complex numbers into two real variables."
        )
    if array.ndim != len(dims):
        raise InvalidProblem(
            f"The values of {name!r} have {array.ndim} axes, but {len(dims)} dimensions {dims} are "
            "named; name one dimension an axis."
        )
    return xr.Variable(dims, array, attrs)


def _check_sizes(quantities: dict[str, xr.Variable], labels: dict[str, xr.Variable]) -> None:
    """Every dimension has one length, and no name is both a quantity and a coordinate."""
    sizes: dict[str, tuple[int, str]] = {}
    for name, variable in (labels | quantities).items():
        if name in quantities and name in labels:
            raise InvalidProblem(
                f"The name {name!r} is given as variable and as coordinate; rename one of them."
            )
        for dim, size in zip(variable.dims, variable.shape, strict=True):
            known, first = sizes.setdefault(str(dim), (size, name))
            if known != size:
                raise InvalidProblem(
                    f"Dimension {dim!r} has length {known} in {first!r} but {size} in {name!r}; "
                    "give arrays of one length for each dimension."
                )


def _circumstances() -> dict[str, str]:
    """When and with which versions the result was made."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "library": "orderparam",
        "library_version": _version("orderparam"),
        "jax_version": _version("jax"),
        "numpy_version": np.__version__,
        "python_version": python_version(),
    }


@functools.cache
def _version(package: str) -> str:
    """Version of an installed package; `unknown` when it runs from a folder of sources."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"
