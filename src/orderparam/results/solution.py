"""The labelled result of a theory or of an experiment."""

import json
import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from orderparam.errors import CorruptFile
from orderparam.results.netcdf import read_dataset, write_dataset
from orderparam.results.screen import screen, screen_html
from orderparam.results.uncertainty import quantities, total_error, unfit
from orderparam.results.verdict import Verdict
from orderparam.support.arguments import checked_path
from orderparam.support.reading import parsed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NEEDED = (
    *("family", "kind", "problem", "method", "seed", "verdict", "message"),
    *("diagnostics", "sources"),
)
_NUMBERS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("seed", "schema_version"), (int,)),
    **dict.fromkeys(("wall_time", "compile_time"), (int, float)),
}
_JSON: dict[str, type] = {"problem": dict, "method": dict, "diagnostics": dict, "sources": list}
_WORDS = {"kind": ("theory", "experiment"), "verdict": tuple(v.value for v in Verdict)}


class Solution:
    """A result: one dataset with its errors, its verdict and what it was computed from.

    The solution never changes: `dataset` hands out a new view each time, whose arrays are
    read-only. Use `dataset.copy(deep=True)` for one to work in.

    Args:
        dataset: A dataset with the attributes that `docs/schema.md` lists, as `build_solution`
            and `load` make it.
    """

    __slots__ = ("_dataset",)

    def __init__(self, dataset: xr.Dataset):
        for variable in dataset.variables.values():
            if isinstance(variable.values, np.ndarray):
                variable.values.flags.writeable = False
        self._dataset = dataset

    @property
    def dataset(self) -> xr.Dataset:
        """The data, with names, dimensions, coordinates and attributes."""
        return self._dataset.copy(deep=False)

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the quantities, without their errors `NAME_se` and `NAME_bias`."""
        return quantities(self._dataset)

    @property
    def family(self) -> str:
        """Family of the problem, such as `kernels`."""
        return self._dataset.attrs["family"]

    @property
    def kind(self) -> str:
        """`theory` or `experiment`."""
        return self._dataset.attrs["kind"]

    @property
    def problem(self) -> dict[str, Any]:
        """The problem as plain values."""
        return json.loads(self._dataset.attrs["problem"])

    @property
    def method(self) -> dict[str, Any]:
        """The method and its settings as plain values."""
        return json.loads(self._dataset.attrs["method"])

    @property
    def diagnostics(self) -> dict[str, Any]:
        """What the method noticed about itself: ranks, residuals, estimates of bias."""
        return json.loads(self._dataset.attrs["diagnostics"])

    @property
    def sources(self) -> tuple[str, ...]:
        """Keys of the works that the result builds on; see `citation`."""
        return tuple(json.loads(self._dataset.attrs["sources"]))

    @property
    def seed(self) -> int:
        """The seed of everything random in the run."""
        return self._dataset.attrs["seed"]

    @property
    def verdict(self) -> Verdict:
        """How the run ended; `verdict.remedy` says what to try."""
        return Verdict(self._dataset.attrs["verdict"])

    @property
    def message(self) -> str:
        """What this run has to say beyond its verdict."""
        return self._dataset.attrs["message"]

    def __getitem__(self, name: str) -> xr.DataArray:
        """The variable, standard error or coordinate of that name."""
        if name not in self._dataset.variables:
            raise KeyError(
                f"The result has no variable {name!r}; it has {', '.join(self.variables)}."
            )
        return self.dataset[name]

    def error(self, name: str) -> xr.DataArray:
        """The error of a variable: standard error and known bias together.

        The square root of the sum of their squares, the standard error widened by Student's t as
        the few replicates behind it ask for, so that one error covers the right value in 68 % of
        cases and two in about 95 %. Zero where a variable is exact.
        """
        self[name]  # a sentence if there is none
        return total_error(self._dataset, name)

    def __contains__(self, name: object) -> bool:
        """Whether there is a variable, standard error or coordinate of that name."""
        return name in self._dataset.variables

    def plot(self) -> "Figure":
        """The result on one page, as its family draws it, with error bands.

        Kernels: losses, alignment, kernels before and after training, two-time kernels and
        densities of fields where they were kept. Mixtures: errors and loss along what was varied.
        One-pass SGD: loss and overlaps over time. Experts: the exponents. A family without a
        figure of its own: every variable over time. Of an experiment, the mean over seeds and the
        range.

        Returns:
            A figure, neither shown nor saved; a notebook shows it, `savefig` writes it.

        Raises:
            UnsupportedCombination: If nothing in the result varies.
        """
        # Families stand above results; the registry is where they are found by name.
        return import_module("orderparam.families").overview(self)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write one NetCDF file, complete or not at all; an older file is replaced at the end.

        Raises:
            UnwritableFile: If the disk is full or the place cannot be written to; an older file
                is unchanged then.
        """
        return write_dataset(self._dataset, checked_path("path", path))

    def __repr__(self) -> str:
        """The status screen."""
        return screen(self._dataset)

    def _repr_html_(self) -> str:
        """The status screen and the dataset for notebooks."""
        return screen_html(self._dataset)


def load(path: str | os.PathLike[str]) -> Solution:
    """Load what `Solution.save` wrote; nothing in the file is ever executed.

    Args:
        path: The file.

    Returns:
        A solution equal to the saved one.

    Raises:
        MissingFile: If there is no such file.
        CorruptFile: If the file is truncated, altered, of another kind or of another schema.
    """
    dataset = read_dataset(path)
    missing = [name for name in _NEEDED if name not in dataset.attrs]
    if missing:
        raise CorruptFile(
            f"The file {path} lacks the attribute {missing[0]!r} that every result has; it was "
            "not written by `Solution.save`, so give one that was."
        )
    for name, value in dataset.attrs.items():
        known = isinstance(value, _NUMBERS.get(name, (str,)))
        if not known or value not in _WORDS.get(name, (value,)):
            raise _foreign(path, name, f"is {value!r}"[:80])
    for name, kind in _JSON.items():
        parsed(dataset.attrs[name], f"The attribute {name!r} of the file {path}", kind)
    if not all(isinstance(key, str) for key in json.loads(dataset.attrs["sources"])):
        raise _foreign(path, "sources", "holds other things than names")
    if said := unfit(dataset):
        raise CorruptFile(
            f"In the file {path} {said[:200]}; ask for a file written by `Solution.save`."
        )
    return Solution(dataset)


def _foreign(path: str | os.PathLike[str], name: str, found: str) -> CorruptFile:
    """The error for an attribute that no result has."""
    return CorruptFile(
        f"The attribute {name!r} of the file {path} {found}, which no result of this version "
        "says; ask for a file written by `Solution.save`, or take the version that wrote it."
    )
