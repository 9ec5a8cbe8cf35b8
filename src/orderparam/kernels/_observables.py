"""From what was kept of networks to the variables and coordinates of their solution."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int, Shaped

from orderparam.data import Data
from orderparam.kernels.glossary import coordinates, derived, variable
from orderparam.results import Coordinate, Variable

_RUNS = ("width", "seed")
_MEASURED = ("f", "Phi", "G")
_POOLED = ("h", "z")


def label_variables(
    arrays: Mapping[str, Shaped[np.ndarray, "..."]], data: Data
) -> dict[str, Variable]:
    """Complete the arrays of networks by errors, tangent kernel and alignments, and label them."""
    measured = {name: arrays[name] for name in _MEASURED}
    measured["ntk"] = tangent_kernel(data.gram(), arrays["Phi"], arrays["G"])
    complete = derived(data.y, data.y_test, measured)
    for value in complete.values():
        value[~arrays["run_valid"]] = np.nan  # no run, no alignment either
    complete |= {name: value for name, value in arrays.items() if name != "run_valid"}
    labelled = {
        name: variable(name, value, leading=() if name in _POOLED else _RUNS)
        for name, value in complete.items()
    }
    valid = Variable(_RUNS, arrays["run_valid"], "whether the run was made")
    return {**labelled, "run_valid": valid}


def tangent_kernel(
    gram: Float[np.ndarray, "sample sample"],
    Phi: Float[np.ndarray, "width seed time layer sample sample"],
    G: Float[np.ndarray, "width seed time layer sample sample"],
) -> Float[np.ndarray, "width seed time sample sample"]:
    """K = Σ_{l=0}^{L} G^{l+1} Φ^l with Φ^0 = x·x/D and G^{L+1} = 1, for every network."""
    inner = np.einsum("...lmn,...lmn->...mn", G[..., 1:, :, :], Phi[..., :-1, :, :])
    return G[..., 0, :, :] * gram + inner + Phi[..., -1, :, :]


def label_coordinates(
    arrays: Mapping[str, Shaped[np.ndarray, "..."]],
    data: Data,
    widths: Sequence[int],
    grid: Int[np.ndarray, " time"],
    learning_rate: float,
    fields_at: Sequence[int],
) -> dict[str, Coordinate]:
    """Coordinates of every dimension that `arrays` use."""
    runs, depth = arrays["f"].shape[1], arrays["Phi"].shape[3]
    coords = coordinates(grid, learning_rate, data.count, data.test_count, depth)
    coords["width"] = Coordinate(("width",), np.asarray(widths), "width N of the networks")
    coords["seed"] = Coordinate(("seed",), np.arange(runs), "index of the run")
    if "Phi_two" in arrays:
        coords["time_"] = Coordinate(("time_",), grid, "second step", "steps")
    if "h" in arrays:
        at = np.asarray(sorted(set(fields_at)))
        coords["field_time"] = Coordinate(("field_time",), at, "step of the fields", "steps")
    return coords
