"""The dimension that counts how large the finite systems of an experiment are."""

import xarray as xr

SIZES = ("width", "dimension", "size")
"""Names that this dimension may have; a family uses one of them."""


def size_of(runs: xr.DataArray) -> str:
    """The size dimension of a variable of an experiment; empty if it has none."""
    return next((name for name in SIZES if name in runs.dims and "seed" in runs.dims), "")
