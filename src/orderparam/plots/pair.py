"""A prediction and a measurement of the same problem, as figures take them."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float

from orderparam.results import Solution


@dataclass(frozen=True)
class Pair:
    r"""Theory and, where there is one, the experiment on the same problem.

    Args:
        theory: The predicted solution.
        experiment: The measured solution, with dimensions `width` and `seed`.
        label: What distinguishes this pair from others in a figure, such as "$\gamma_0 = 1$".
    """

    theory: Solution
    experiment: Solution | None = None
    label: str = ""

    @property
    def widths(self) -> list[int]:
        """The widths of the experiment, ascending; empty without one."""
        return [] if self.experiment is None else sorted(self.experiment["width"].values.tolist())

    def networks(self, name: str, width: int) -> xr.DataArray:
        """One variable of the networks of one width that were trained to the end.

        Args:
            name: The variable.
            width: One of `widths`.

        Returns:
            The variable with `seed` as its first dimension.

        Raises:
            ValueError: If there is no experiment.
        """
        if self.experiment is None:
            raise ValueError("This pair has no experiment; give one to `Pair`.")
        valid = self.experiment["run_valid"].sel(width=width).values
        return self.experiment[name].sel(width=width).isel(seed=np.flatnonzero(valid))


def standard_error(solution: Solution, name: str) -> Float[np.ndarray, "..."]:
    """Standard error of a variable, zero where the solution is exact."""
    if f"{name}_se" in solution.dataset:
        return np.asarray(solution.dataset[f"{name}_se"].values, dtype=float)
    return np.zeros(solution[name].shape)
