"""How far to trust a sampled run: its sampling error, and what truncated histories leave out."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from orderparam.engine import (
    Run,
    crowding_notes,
    dropped,
    known,
    missing,
    orthogonality_loss,
    ranks,
)
from orderparam.results import Verdict

LARGEST_ERROR = 0.1
"""Relative error of the loss or of a kernel that a result may carry."""

REMAINING = 0.5
"""Bias that is left, in units of what a tenfold tolerance adds to it.

It falls at least threefold (five times where measured) for a tenfold smaller tolerance. A coarser
run costs a fraction of a finer one."""


def diagnose(runs: Sequence[Run], coarser: Run, notes: list[str]) -> dict[str, Any]:
    """Ranks, truncation and sampling errors of replicates and of a coarser run.

    Args:
        runs: The replicates.
        coarser: The first replicate at ten times the tolerance.
        notes: Sentences to which others are added.

    Returns:
        The diagnostics of a solution. Errors of the loss are largest values over time in units of
        its first value. Those of kernels (`Phi` and `G` of each layer, and `ntk`) are root mean
        squares over time and entries relative to the kernel, of the one that truncation moves most;
        the bias is at least `largest_missing`, the largest part of the squared norm of a layer's
        vectors that no recorded direction holds.
    """
    last = runs[-1].state
    bias, error = _loss_errors(runs, coarser)
    moved, kernel_error = _kernel_errors(runs, coarser)
    left_out = max(missing(run.state) for run in runs)
    # Where ten times the tolerance records the same directions, what they miss is seen here alone.
    kernel_bias = max(moved, left_out)
    notes += crowding_notes(last)
    for what, unit, shift, se in (
        ("loss", "its start", bias, error),
        ("kernels", "their size", kernel_bias, kernel_error),
    ):
        if shift > 3 * se:
            notes.append(
                f"The larger error of the {what} is truncation, {shift:.1e} of {unit} (standard "
                f"error {se:.1e}), which falls with `tolerance`."
            )
    return {
        "replicates": len(runs),
        "ranks": {name: list(pair) for name, pair in ranks(last).items()},
        "known": known(last),
        "largest_dropped": max(dropped(r.state) for r in runs),
        "truncation_bias": bias,
        "loss_standard_error": error,
        "largest_missing": left_out,
        "kernel_truncation_bias": kernel_bias,
        "kernel_standard_error": kernel_error,
        "orthogonality_loss": orthogonality_loss(last),
        "notes": notes,
    }


def judge(diagnostics: Mapping[str, Any]) -> Verdict:
    """Converged unless the errors are above what a result may carry."""
    names = ("loss_standard_error", "truncation_bias", "kernel_truncation_bias")
    worst = max(diagnostics[name] for name in names)
    return Verdict.CONVERGED if worst <= LARGEST_ERROR else Verdict.ERROR_TOO_LARGE


def _loss_errors(runs: Sequence[Run], coarser: Run) -> tuple[float, float]:
    """Truncation bias and standard error, in units of the first loss."""
    losses = np.stack([run.observed["loss"] for run in runs])
    scale = max(float(losses[0, 0]), 1e-300)
    shift = np.abs(losses[0] - coarser.observed["loss"]).max()
    error = losses.std(axis=0, ddof=1).max() / np.sqrt(len(runs))
    return float(REMAINING * shift / scale), float(error / scale)


def _kernel_errors(runs: Sequence[Run], coarser: Run) -> tuple[float, float]:
    """The same of the kernel with the largest bias, in units of its root mean square."""
    found = []
    for name in ("Phi", "G", "ntk"):
        values = np.stack([run.observed[name] for run in runs])
        shift = values[0] - coarser.observed[name]
        spread = values.std(axis=0, ddof=1) / np.sqrt(len(runs))
        for layer in range(values.shape[2]) if name != "ntk" else (slice(None),):
            scale = max(_rms(values[0][:, layer]), 1e-300)
            found.append(
                (REMAINING * _rms(shift[:, layer]) / scale, _rms(spread[:, layer]) / scale)
            )
    return max(found)


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))
