"""What a study ran on: versions, machine, device, time."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import orderparam as op
from orderparam.studies.outcome import Outcome

_PACKAGES = ("jax", "jaxlib", "equinox", "numpy", "scipy", "xarray", "h5netcdf", "matplotlib")


def versions() -> dict[str, str]:
    """Versions of the library, of Python and of the packages that compute and draw."""
    packages = {name: metadata.version(name) for name in _PACKAGES}
    return {"orderparam": op.__version__, "python": platform.python_version(), **packages}


def environment(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The circumstances of a run as plain values; results found in the store keep their own."""
    results = {}
    for outcome in outcomes:
        for kind in ("theory", "experiment"):
            solution, entry = getattr(outcome, kind), getattr(outcome.case, kind)
            if solution is not None:
                results[entry.file.removesuffix(".nc")] = _circumstances(solution.dataset.attrs)
    return {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "versions": versions(),
        "results": results,
    }


def _circumstances(attributes: dict[str, Any]) -> dict[str, Any]:
    """What one result says about its own making."""
    names = ("created", "library_version", "jax_version", "device", "precision", "seed")
    return {
        name: attributes[name]
        for name in (*names, "wall_time", "compile_time")
        if name in attributes
    }
