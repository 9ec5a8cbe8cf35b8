"""From what was kept of networks to the variables and coordinates of their solution."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int, Shaped

from orderparam.kernels.experiment.recorder import followed
from orderparam.kernels.glossary import coordinates, row_shape, variable
from orderparam.kernels.problem import KernelEvolution
from orderparam.kernels.theory.derived import derived
from orderparam.kernels.theory.tangent import tangent_kernel
from orderparam.results import Coordinate, Variable

_RUNS = ("width", "seed")
_MEASURED = ("f", "Phi", "G", "loss")
_ROWS = {"Phi_two": (5, 6), "G_two": (5, 6), "h": (2,), "z": (2,)}
"""Axes of what is kept whose entries are samples with what else a row holds."""


def label_variables(
    arrays: Mapping[str, Shaped[np.ndarray, "..."]], problem: KernelEvolution
) -> dict[str, Variable]:
    """Complete the arrays of networks by losses, tangent kernel and alignments, and label them."""
    measured = {name: arrays[name] for name in _MEASURED}
    if "ntk" in arrays:
        measured["ntk"] = arrays["ntk"]
    else:
        inputs = followed(problem)
        gram = inputs @ inputs.T / inputs.shape[1]
        measured["ntk"] = tangent_kernel(problem.network, gram, arrays["Phi"], arrays["G"])
    complete = derived(problem, measured)
    for name, value in complete.items():
        complete[name] = value = np.array(value)
        value[~arrays["run_valid"]] = np.nan  # no run, no alignment either
    for name, axes in _ROWS.items():
        if name in arrays:
            complete[name] = _by_row(arrays[name], row_shape(problem, name), axes)
    labelled = {
        name: variable(problem, name, value, leading=() if name in ("h", "z") else _RUNS)
        for name, value in complete.items()
    }
    valid = Variable(_RUNS, arrays["run_valid"], "whether the run was made")
    return {**labelled, "run_valid": valid}


def label_coordinates(
    arrays: Mapping[str, Shaped[np.ndarray, "..."]],
    problem: KernelEvolution,
    widths: Sequence[int],
    grid: Int[np.ndarray, " time"],
    fields_at: Sequence[int],
) -> dict[str, Coordinate]:
    """Coordinates of every dimension that `arrays` use."""
    coords = coordinates(problem, grid)
    runs = arrays["f"].shape[1]
    coords["width"] = Coordinate(("width",), np.asarray(widths), "width N of the networks")
    coords["seed"] = Coordinate(("seed",), np.arange(runs), "index of the run")
    if "Phi_two" in arrays:
        coords["time_"] = Coordinate(("time_",), grid, "second step", "steps")
    if "h" in arrays:
        at = np.asarray(sorted(set(fields_at)))
        coords["field_time"] = Coordinate(("field_time",), at, "step of the fields", "steps")
    return coords


def _by_row(
    values: Shaped[np.ndarray, "..."], shape: tuple[int, ...], axes: tuple[int, ...]
) -> Shaped[np.ndarray, "..."]:
    """Separate samples from what rows hold behind them, in each of `axes`."""
    for axis in sorted(axes, reverse=True):
        values = values.reshape(*values.shape[:axis], -1, *shape, *values.shape[axis + 1 :])
    return values
