"""The status screen: what a result is and how far to trust it, on one page of text."""

import html
import json
import math
import textwrap
from decimal import Decimal
from typing import Any

import numpy as np
import xarray as xr

from orderparam.results.sizes import size_of
from orderparam.results.verdict import Verdict

_WIDTH = 96
_INDENT = 14


def with_error(value: float, se: float | None) -> str:
    """Write a number with its digits cut where its standard error begins.

    `with_error(0.276894, 0.00042)` is `0.2769(4)`: the bracket is the error of the last digit.
    Without an error six digits are written.
    """
    if se is None or not (math.isfinite(se) and math.isfinite(value)) or se <= 0:
        return f"{value:.6g}"
    rounded = Decimal(f"{se:.0e}")
    digit, last = rounded.as_tuple().digits[0], int(f"{se:.0e}".split("e")[1])
    if 0 >= last >= -_INDENT and (abs(value) >= 1e-4 or last >= -4):
        return f"{value:.{-last}f}({digit})"
    top = max(math.floor(math.log10(abs(value))) if value else last, last)
    return f"{value / 10.0**top:.{top - last}f}({digit})e{top:+03d}"


def screen(dataset: xr.Dataset) -> str:
    """The status screen of a result as plain text."""
    attrs = dataset.attrs
    method = json.loads(attrs["method"])
    verdict = Verdict(attrs["verdict"])
    named = [str(n) for n in dataset.data_vars if not str(n).endswith("_se")]
    lines = [f"Solution: {attrs['family']}, {attrs['kind']}"]
    rows = {
        "method": _settings(method),
        "verdict": f"{verdict.value}: {verdict.remedy}",
        "message": attrs["message"],
        "sizes": ", ".join(f"{dim} {size}" for dim, size in dataset.sizes.items()),
        "variables": f"{', '.join(named)} ({dataset.nbytes / 2**20:.3g} MiB)",
        "final loss": _final_loss(dataset),
        "diagnostics": _settings(json.loads(attrs["diagnostics"])),
        "problem": _settings(json.loads(attrs["problem"])),
        "run": _run(attrs),
        "versions": _versions(attrs),
        "created": attrs.get("created", ""),
    }
    lines += [_row(label, text) for label, text in rows.items() if text]
    return "\n".join(lines)


def screen_html(dataset: xr.Dataset) -> str:
    """The status screen followed by the dataset, for notebooks."""
    return f"<pre>{html.escape(screen(dataset))}</pre>{dataset._repr_html_()}"


def _row(label: str, text: str) -> str:
    """One labelled entry, wrapped and indented."""
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=f"  {label:<{_INDENT - 2}}",
        subsequent_indent=" " * _INDENT,
        break_on_hyphens=False,
    )


def _settings(values: dict[str, Any]) -> str:
    """Plain values in a row; long ones are cut, since the attributes hold them in full."""
    parts = []
    for key, value in values.items():
        text = f"{value:.6g}" if isinstance(value, float) else str(value)
        parts.append(text if key == "name" else f"{key}={_shortened(text)}")
    return ", ".join(parts)


def _shortened(text: str, limit: int = 60) -> str:
    """At most `limit` characters of `text`."""
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def _final_loss(dataset: xr.Dataset) -> str:
    """The last loss of a theory, or of an experiment at each size as mean over its seeds."""
    if "loss" not in dataset or "time" not in dataset["loss"].dims or not dataset.sizes["time"]:
        return ""
    loss = dataset["loss"].isel(time=-1)
    if loss.ndim == 0:
        error = dataset["loss_se"].isel(time=-1).item() if "loss_se" in dataset else None
        return with_error(loss.item(), error)
    size = size_of(loss)
    if loss.dims != (size, "seed"):
        return ""
    valid = np.isfinite(loss.values)
    if "run_valid" in dataset:
        valid &= dataset["run_valid"].values
    parts = []
    for number, values, kept in zip(loss[size].values, loss.values, valid, strict=True):
        runs = values[kept].astype(float)
        error = runs.std(ddof=1) / math.sqrt(len(runs)) if len(runs) > 1 else None
        text = with_error(runs.mean(), error) if len(runs) else "no valid run"
        parts.append(f"{text} at {size} {number} ({len(runs)} seeds)")
    return ", ".join(parts)


def _run(attrs: dict[str, Any]) -> str:
    """Seed, precision, device and times."""
    parts = [f"seed {attrs['seed']}", attrs.get("precision", ""), attrs.get("device", "")]
    if "wall_time" in attrs:
        parts.append(f"{attrs['wall_time']:.3g} s")
    if "compile_time" in attrs:
        parts.append(f"after {attrs['compile_time']:.3g} s of compilation")
    return ", ".join(part for part in parts if part)


def _versions(attrs: dict[str, Any]) -> str:
    """Versions of the library and of what it stands on."""
    names = {"library_version": "orderparam", "jax_version": "jax", "numpy_version": "numpy"}
    names["python_version"] = "python"
    return ", ".join(f"{name} {attrs[key]}" for key, name in names.items() if key in attrs)
