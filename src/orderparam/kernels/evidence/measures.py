"""Numbers that the claims of kernel evolution rest on, from one solution or one pair."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from orderparam.comparison import compare
from orderparam.results import SIZES, Solution
from orderparam.results.pair import Pair

FULL = ("causal", "alternating", "exact-linear", "linear-kernels")
"""Methods without approximation: agreement with networks is expected of them alone."""

BLOCKS = 16
"""Groups of neurons or samples whose spread gives a standard error."""


@dataclass(frozen=True)
class Error:
    """Deviation of a theory from the limit of networks, relative to that variable's size.

    Args:
        value: Root mean square over time and entries.
        se: Root mean square of its standard error; what networks cannot resolve.
        verdict: Of the comparison for this variable alone.
    """

    value: float
    se: float
    verdict: Literal["pass", "fail", "undecided"]


def error(pair: Pair, name: str) -> Error:
    """How far a theory's variable is from networks, extrapolated in 1/N at three widths or more."""
    assert pair.experiment is not None
    (row,) = compare(pair.theory, pair.experiment, variables=[name]).table
    widest = pair.runs(name, pair.sizes[-1]).mean("seed").values
    size = float(np.sqrt(np.mean(widest**2)))
    return Error(row.rms_deviation / size, row.combined_se / size, row.verdict)


def time_to(fraction: float, solution: Solution) -> Float[np.ndarray, "..."]:
    """Learning time at which the loss falls below a fraction of its start; NaN if it does not.

    Interpolated in the logarithm of the loss. The shape is that of the loss without time.
    """
    times = solution["eta_t"].values
    dims = [dim for dim in solution["loss"].dims if dim != "time"]
    loss = solution["loss"].transpose(*dims, "time").values
    flat = loss.reshape(-1, len(times))
    found = [_crossing(times, curve / curve[0], fraction) for curve in flat]
    return np.array(found).reshape(loss.shape[:-1])


def motion(kernel: Float[np.ndarray, "*runs time sample sample_"]) -> Float[np.ndarray, "*runs"]:
    """Change of a kernel in training, |K(T) - K(0)| / |K(0)|."""
    first, last = kernel[..., 0, :, :], kernel[..., -1, :, :]
    norm = np.linalg.norm(first, axis=(-2, -1))
    return np.asarray(np.linalg.norm(last - first, axis=(-2, -1)) / norm)


def leading_share(
    kernel: Float[np.ndarray, "*runs time sample sample_"],
) -> Float[np.ndarray, "*runs time"]:
    """Share of one direction in a kernel's growth: its top eigenvalue over the sum of all sizes.

    1 for growth of rank one, NaN at the start, where nothing has grown yet.
    """
    values = np.linalg.eigvalsh(kernel - kernel[..., :1, :, :])
    total = np.abs(values).sum(axis=-1)
    empty = np.full(total.shape, np.nan)
    return np.divide(values[..., -1], total, out=empty, where=total > 1e-12 * total.max())


def excess_kurtosis(field: Float[np.ndarray, "sample neuron"]) -> tuple[float, float]:
    """Excess kurtosis of a field, mean over samples, and its standard error over `BLOCKS` groups.

    Zero for a Gaussian, whatever its variance at each sample.
    """
    samples, neurons = field.shape
    groups = field[:, : neurons - neurons % BLOCKS].reshape(samples, BLOCKS, -1)
    square = np.mean(groups**2, axis=-1)
    fourth = np.mean(groups**4, axis=-1)
    # Moments are pooled before the ratio, which is biased in small groups; groups are left out
    # one by one for its error.
    whole = np.mean(fourth.mean(1) / square.mean(1) ** 2) - 3
    left_out = np.array(
        [
            np.mean(np.delete(fourth, i, 1).mean(1) / np.delete(square, i, 1).mean(1) ** 2) - 3
            for i in range(BLOCKS)
        ]
    )
    se = np.sqrt((BLOCKS - 1) / BLOCKS * np.sum((left_out - left_out.mean()) ** 2))
    return float(whole), float(se)


def train_block(solution: Solution, name: str) -> Float[np.ndarray, "..."]:
    """A kernel between training samples, sample axes last, runs first."""
    kernel = solution[name]
    train = np.flatnonzero(solution["split"].values == "train")
    kernel = kernel.isel(sample=train, sample_=train)
    lead = [dim for dim in (*SIZES, "seed", "time") if dim in kernel.dims]
    return kernel.transpose(*lead, ..., "sample", "sample_").values


def field_block(
    solution: Solution, name: str, layer: int, time: int
) -> Float[np.ndarray, "sample neuron"]:
    """A single-site field of the training samples in one layer at one saved step."""
    train = np.flatnonzero(solution["split"].values == "train")
    field = solution[name].sel(layer=layer, field_time=time).isel(sample=train)
    values = field.transpose("sample", "neuron").values.astype(float)
    return values[:, np.isfinite(values).all(axis=0)]


def parameterization(pair: Pair) -> str:
    """The parameterization of a case's networks."""
    assert pair.experiment is not None
    return pair.experiment.method["parameterization"]


def _crossing(
    times: Float[np.ndarray, " time"], relative: Float[np.ndarray, " time"], fraction: float
) -> float:
    below = np.flatnonzero(relative <= fraction)
    if not below.size or np.isnan(relative[0]):
        return float("nan")
    i = int(below[0])
    if i == 0:
        return float(times[0])
    high, low = np.log(relative[i - 1]), np.log(max(relative[i], 1e-300))
    part = (high - np.log(fraction)) / (high - low)
    return float(times[i - 1] + part * (times[i] - times[i - 1]))
