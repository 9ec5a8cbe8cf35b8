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
from orderparam.results.uncertainty import quantities, total_error
from orderparam.results.verdict import Verdict

_WIDTH = 96
_INDENT = 14
_LONG = 30  # characters of a value above which it is left to the attribute


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
    """The status screen of a result as plain text, at most twelve lines.

    Entries are whole: what does not fit is counted, and the attribute named that holds it.
    """
    attrs = dataset.attrs
    verdict = Verdict(attrs["verdict"])
    method, problem = json.loads(attrs["method"]), json.loads(attrs["problem"])
    names = quantities(dataset)
    sizes = [f"{dim} {size}" for dim, size in dataset.sizes.items()]
    said = {
        "verdict": _fitted([f"{verdict.value}: {verdict.remedy}"], "verdict", 2, " "),
        "message": _fitted(_sentences(attrs["message"]), "message", 2, " "),
    }
    taken = sum(_row("", text).count("\n") + 1 for text in said.values() if text)
    rows = {
        **said,
        "problem": _fitted(_settings(problem, "kind"), "problem", min(5 - taken, 2)),
        "method": _fitted(_settings(method, "name"), "method"),
        "sizes": _fitted(sizes, "dataset.sizes"),
        "variables": _fitted([*names, f"{dataset.nbytes / 2**20:.3g} MiB"], "variables"),
        "final loss": _fitted(_final_loss(dataset), "dataset"),
        "diagnostics": _fitted(_settings(json.loads(attrs["diagnostics"])), "diagnostics"),
        "run": _fitted(_run(attrs), "dataset.attrs"),
    }
    lines = [f"Solution: {attrs['family']}, {attrs['kind']}"]
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


def _fitted(items: list[str], where: str, lines: int = 1, joint: str = ", ") -> str:
    """The first items, whole, in a number of lines; what is left out is counted, not cut."""
    for kept in range(len(items), 0, -1):
        left = len(items) - kept
        more = f"{joint}and {left} more in `.{where}`" if left else ""
        text = joint.join(items[:kept]) + more
        if _row("", text).count("\n") < lines:
            return text
    return f"in `.{where}`" if items else ""


def _settings(values: dict[str, Any], head: str = "") -> list[str]:
    """Plain values as `key=value`, the head alone first, nested ones last by their own name."""
    parts = [str(values[head])] if head in values else []
    nested = []
    for key, value in values.items():
        if isinstance(value, dict):
            named = next((value[k] for k in ("kind", "name") if k in value), None)
            if named is not None:
                nested.append(f"{key}={named}")
        elif key != head and value is not None and len(str(value)) <= _LONG:
            parts.append(f"{key}={value:.3g}" if isinstance(value, float) else f"{key}={value}")
    return parts + nested


def _sentences(text: str) -> list[str]:
    """The sentences of a message."""
    parts = text.replace(". ", ".\n").split("\n")
    return [part for part in parts if part]


def _final_loss(dataset: xr.Dataset) -> list[str]:
    """The last loss of a theory, or of an experiment at each size, as mean over its seeds."""
    if "loss" not in dataset or "time" not in dataset["loss"].dims or not dataset.sizes["time"]:
        return []
    loss = dataset["loss"].isel(time=-1)
    if loss.dtype.kind != "f":
        return []
    if loss.ndim == 0:
        error = total_error(dataset, "loss").isel(time=-1).item()
        return [with_error(loss.item(), error)]
    size = size_of(loss)
    if loss.dims != (size, "seed"):
        return []
    valid = np.isfinite(loss.values)
    if "run_valid" in dataset:
        valid &= dataset["run_valid"].values
    parts = []
    for number, values, kept in zip(loss[size].values, loss.values, valid, strict=True):
        runs = values[kept].astype(float)
        error = runs.std(ddof=1) / math.sqrt(len(runs)) if len(runs) > 1 else None
        text = with_error(runs.mean(), error) if len(runs) else "no valid run"
        parts.append(f"{text} at {size} {number} ({len(runs)} seeds)")
    return parts[::-1]  # the largest systems are nearest to the theory


def _run(attrs: dict[str, Any]) -> list[str]:
    """Seed, precision, device, times and versions."""
    parts = [f"seed {attrs['seed']}", attrs.get("precision", ""), attrs.get("device", "")]
    if "wall_time" in attrs:
        parts.append(f"{attrs['wall_time']:.3g} s")
    if "compile_time" in attrs:
        parts.append(f"{attrs['compile_time']:.3g} s of compilation")
    for key, name in (("library_version", "orderparam"), ("jax_version", "jax")):
        if key in attrs:
            parts.append(f"{name} {attrs[key]}")
    return [part for part in parts if part]
