"""How far to trust a sampled run: sampling errors, truncated histories, and the verdict on both."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from orderparam.engine import (
    Run,
    crowding_notes,
    known,
    missing,
    orthogonality_loss,
    ranks,
)
from orderparam.kernels.problem import KernelEvolution
from orderparam.kernels.theory.derived import derived
from orderparam.results import Verdict
from orderparam.results.uncertainty import relative_bias

REMAINING = 0.5
"""Bias that is left, at most, in units of what a tenfold tolerance adds to it.

In a linear program it falls four- to tenfold for a tenfold smaller tolerance; behind kinks that was
not measured. The difference to a coarser run holds sampling noise as well. A coarser run costs a
fraction of a finer one."""

SPARSE = 0.05
"""Part of the points carrying an average below which a result says so. Usual networks have 0.1
(rectified, at strong feature learning) to 0.9."""

FEW = 30
"""Effective sample size below which standard errors are not trusted. Those of four replicates
covered a gradient kernel in 91 to 97 of 100 cases, for 95 asked, down to a size of 5, in 86 at 1.3
and 66 at 1.0; a margin is left for deeper networks."""

ROUNDING = 1e-6
"""Relative error that is not worth a word."""

FEW_POINTS = (
    "Most of it is that of too few points which decide, as where preactivations are wide: raise "
    "`samples`, or scale the inputs down (or `weight_std`)."
)
"""Remedy where the effective sample size is the cause."""

KERNELS = ("Phi", "G", "ntk")
Arrays = dict[str, Float[np.ndarray, "..."]]


def truncation_biases(problem: KernelEvolution, runs: Sequence[Run], coarser: Run) -> Arrays:
    """What truncated histories leave of the bias of every variable, entry by entry.

    Half of what ten times the tolerance moves, with the same scrambling; where the two runs cross,
    at least the root mean square over the entries of that time (and layer). Kernels carry besides
    the largest part of the squared norm of a layer's vectors that has no image: where ten times the
    tolerance records the same directions, what they miss is seen here alone.
    """
    fine, coarse = derived(problem, runs[0].observed), derived(problem, coarser.observed)
    left_out = max(missing(run.state) for run in runs)
    found = {}
    for name, values in fine.items():
        kept = 2 if name in ("Phi", "G", "Phi_alignment") else 1
        axes = tuple(range(kept, values.ndim))
        shift = np.abs(values - coarse[name])
        bias = REMAINING * np.maximum(shift, _rms(shift, axes))
        if name in KERNELS:
            bias = np.maximum(bias, left_out * _rms(values, axes))
        found[name] = bias
    return found


def relative_biases(
    problem: KernelEvolution,
    observed: Mapping[str, Float[np.ndarray, "..."]],
    error: float | Float[np.ndarray, " time"],
) -> Arrays | None:
    """One relative error on every variable (at each time), in units of its largest value there.

    `None` where the error is rounding.
    """
    if np.max(error) <= ROUNDING:
        return None
    found = {}
    for name, values in derived(problem, observed).items():
        of_time = np.broadcast_to(error, values.shape[:1])
        found[name] = relative_bias(values, of_time)
    return found


def carrying(runs: Sequence[Run], before: float) -> Float[np.ndarray, " time"]:
    """Smallest part of the points that has carried an average so far, at each saved time.

    Of feature and gradient kernels of all layers and replicates, <x^2>^2 / <x^4>, and of slopes
    before training as they are known without sampling: points that none hit are seen there alone.
    """
    found = np.stack([r.observed[f"{n}_carrying"] for r in runs for n in ("Phi", "G")])
    least = found.min(axis=(0, 2), initial=before)
    return np.minimum.accumulate(least)


def rare_errors(
    part: Float[np.ndarray, " time"], samples: int
) -> tuple[Float[np.ndarray, " time"], list[str]]:
    """Relative errors of averages that too few points carry, and a note where few do.

    One over the root of the effective sample size `part * samples` where that is below `FEW`, so
    that the spread over replicates does not show the error; else 0.
    """
    size = part * samples
    errors = np.where(size < FEW, size**-0.5, 0.0)
    if part.min() >= SPARSE and not errors.any():
        return errors, []
    return errors, [
        f"Few points carry the averages: the effective sample size falls to {size.min():.2g} of "
        f"{samples}."
    ]


def diagnose(problem: KernelEvolution, runs: Sequence[Run], biases: Arrays) -> dict[str, Any]:
    """Ranks, truncation and sampling errors of replicates.

    Args:
        problem: What was solved.
        runs: The replicates.
        biases: Of each variable, as `truncation_biases` gives them.

    Returns:
        The diagnostics of a solution. Errors of the loss are largest values over time in units of
        its first value. Those of kernels (`Phi` and `G` of each layer, and `ntk`) are root mean
        squares over time and entries relative to the kernel, of the one with the largest error.
    """
    last = runs[-1].state
    losses = np.stack([run.observed["loss"] for run in runs])
    scale = max(float(np.abs(losses[:, 0]).max()), _rounding(problem, runs[0]))
    error = losses.std(axis=0, ddof=1).max() / np.sqrt(len(runs))
    kernel_bias, kernel_error = _kernel_errors(runs, biases)
    return {
        "replicates": len(runs),
        "ranks": {name: list(pair) for name, pair in ranks(last).items()},
        "known": known(last),
        "truncation_bias": float(biases["loss"].max() / scale),
        "loss_standard_error": float(error / scale),
        "largest_missing": max(missing(run.state) for run in runs),
        "kernel_truncation_bias": kernel_bias,
        "kernel_standard_error": kernel_error,
        "orthogonality_loss": orthogonality_loss(last),
        "crowding": crowding_notes(last),
    }


def judge(
    diagnostics: Mapping[str, Any], accuracy: float, rare: float = 0.0
) -> tuple[Verdict, str]:
    """Converged if loss and kernels are as accurate as was asked for, and what to do if not.

    Args:
        diagnostics: As `diagnose` gives them.
        accuracy: Error that is asked for, relative to the first loss and to the size of kernels.
        rare: Relative error of averages that few points carry, which no spread over replicates
            shows.
    """
    parts = {
        ("loss", "sampling"): diagnostics["loss_standard_error"],
        ("loss", "truncation"): diagnostics["truncation_bias"],
        ("kernels", "sampling"): diagnostics["kernel_standard_error"],
        ("kernels", "truncation"): diagnostics["kernel_truncation_bias"],
        ("kernels", "rare events"): rare,
    }
    total = {
        what: float(np.sqrt(sum(e**2 for (of, _), e in parts.items() if of == what)))
        for what in ("loss", "kernels")
    }
    errors = f"loss {total['loss']:.1e} of its start, kernels {total['kernels']:.1e} of their size"
    if max(total.values()) <= accuracy:
        return Verdict.CONVERGED, f"Errors: {errors}; asked for: {accuracy:g}."
    worst = max(total, key=lambda what: total[what])
    cause = max((e, why) for (of, why), e in parts.items() if of == worst)[1]
    if diagnostics["crowding"] and cause == "truncation":
        cause = "crowded"
    said = [f"Errors: {errors}, above `accuracy` = {accuracy:g}.", _REMEDIES[cause]]
    return Verdict.ERROR_TOO_LARGE, " ".join([*said, *diagnostics["crowding"]])


_REMEDIES = {
    "sampling": "Most of it is the sampling error: raise `samples` or `replicates`.",
    "truncation": "Most of it is the truncation of histories: lower `tolerance`.",
    "crowded": (
        "Most of it is the truncation of histories: lower `tolerance`, with more `samples` to hold "
        "the directions that it opens."
    ),
    "rare events": FEW_POINTS,
}


def _kernel_errors(runs: Sequence[Run], biases: Arrays) -> tuple[float, float]:
    """Bias and standard error of the kernel with the largest error, relative to its size."""
    found = []
    for name in KERNELS:
        values = np.stack([run.observed[name] for run in runs])
        spread = values.std(axis=0, ddof=1) / np.sqrt(len(runs))
        bias = biases[name].reshape(spread.shape)
        for layer in range(values.shape[2]) if name != "ntk" else (slice(None),):
            size = float(_rms(values[0][:, layer]).item())
            errors = [float(_rms(part[:, layer]).item()) for part in (bias, spread)]
            # A kernel that vanishes, as where all inputs are zero, is right as it is.
            found.append([e / size if size > 0 else 0.0 for e in errors])
    bias, spread = max(found, key=lambda pair: np.hypot(*pair))
    return bias, spread


def _rounding(problem: KernelEvolution, run: Run) -> float:
    """Loss of predictions that differ by rounding alone, below which no error is measured."""
    largest = float(run.observed["Phi"][0, -1].max(initial=0.0))
    return max((1e-13**2) * largest / problem.gamma0**2, 1e-300)


def _rms(values: Float[np.ndarray, "..."], axes: tuple[int, ...] | None = None) -> np.ndarray:
    """Root mean square over axes, which are kept with length 1; over none, the size itself."""
    if axes == ():
        return np.abs(values)
    return np.sqrt(np.mean(values**2, axis=axes, keepdims=True))
