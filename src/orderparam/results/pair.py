"""A prediction and a measurement of the same problem, as figures take them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from orderparam.errors import InvalidProblem
from orderparam.results.sizes import SIZES
from orderparam.results.solution import Solution


@dataclass(frozen=True)
class Pair:
    r"""Theory and, where there is one, the experiment on the same problem.

    Args:
        theory: The predicted solution.
        experiment: The measured solution, with a size dimension and `seed`.
        label: What distinguishes this pair from others in a figure, such as "$\gamma_0 = 1$".
    """

    theory: Solution
    experiment: Solution | None = None
    label: str = ""

    @property
    def size(self) -> str:
        """The experiment's size dimension, such as `width`; empty without one."""
        if self.experiment is None:
            return ""
        return next((name for name in SIZES if name in self.experiment.dataset.dims), "")

    @property
    def sizes(self) -> list[int]:
        """The sizes of the experiment, ascending; empty without one."""
        return sorted(self.experiment[self.size].values.tolist()) if self.experiment else []

    def runs(self, name: str, size: int) -> xr.DataArray:
        """One variable of the systems of one size that ran to the end.

        Args:
            name: The variable.
            size: One of `sizes`.

        Returns:
            The variable with `seed` as its first dimension.

        Raises:
            ValueError: If there is no experiment.
        """
        if self.experiment is None:
            raise ValueError("This pair has no experiment; give one to `Pair`.")
        runs = self.experiment[name].sel({self.size: size})
        if "run_valid" not in self.experiment:
            return runs
        valid = self.experiment["run_valid"].sel({self.size: size}).values
        return runs.isel(seed=np.flatnonzero(valid))


def with_networks(pairs: Sequence[Pair], what: str) -> list[Pair]:
    """The pairs that have an experiment.

    Raises:
        InvalidProblem: If there is none.
    """
    measured = [pair for pair in pairs if pair.experiment is not None]
    if not measured:
        raise InvalidProblem(f"The claim about {what} needs networks; add an [experiment].")
    return measured
