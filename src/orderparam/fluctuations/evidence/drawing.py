"""What the figures of fluctuations share: ensembles as points, and lines that say what is shown."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from orderparam.fluctuations.evidence.measures import evolution
from orderparam.plots.style import marker
from orderparam.results.pair import Pair
from orderparam.support.later import Axes

TIME = r"training time $\eta\,t$  (learning rate × steps)"
SHORT_TIME = r"training time $\eta\,t$"
BARS = "lines: theory, bands: two errors; points: networks, bars: standard errors"


def ensemble_points(
    axes: Axes,
    times: Float[np.ndarray, " time"],
    values: Float[np.ndarray, "seed time"],
    *,
    colour: str,
    label: str | None = None,
    style: int = 0,
    most: int = 12,
) -> None:
    """The mean over networks with its standard error, at a dozen times."""
    kept = np.unique(np.linspace(0, len(times) - 1, min(most, len(times))).astype(int))
    shown = values[:, kept]
    error = shown.std(axis=0, ddof=1) / np.sqrt(len(shown))
    axes.errorbar(
        times[kept], shown.mean(axis=0), yerr=error, fmt=marker(style), markersize=3.5,
        color=colour, elinewidth=0.8, label=label, zorder=5,
    )  # fmt: skip


def curve(
    axes: Axes,
    times: Float[np.ndarray, " time"],
    mean: Float[np.ndarray, " time"],
    error: Float[np.ndarray, " time"] | float,
    *,
    colour: str,
    label: str | None = None,
) -> None:
    """A line of the theory with its band of two errors."""
    axes.plot(times, mean, color=colour, label=label, zorder=3)
    axes.fill_between(
        times, mean - 2 * error, mean + 2 * error, color=colour, alpha=0.25, linewidth=0, zorder=2
    )


def network_line(pairs: Sequence[Pair]) -> str:
    """What the networks of all cases share, in one line."""
    problems = [evolution(pair) for pair in pairs]
    first = problems[0]
    network, data = first["network"], first["data"]
    depths = sorted({one["network"]["depth"] for one in problems})
    layers = ", ".join(map(str, depths))
    parts = [f"{network['activation']} networks, $L = {layers}$, {data['name']}"]
    for name, symbol in (("gamma0", r"\gamma_0"), ("learning_rate", r"\eta")):
        if all(one[name] == first[name] for one in problems):
            parts.append(f"${symbol} = {first[name]:g}$")
    if all(one["centered"] == first["centered"] for one in problems):
        parts.append("outputs f(t) - f(0)" if first["centered"] else "outputs not centred")
    return ", ".join(parts)


def ensemble_line(pair: Pair) -> str:
    """How many networks of which widths a case has."""
    counts = [f"{len(pair.runs('f', size)['seed'])} of N = {size}" for size in pair.sizes]
    return f"networks: {', '.join(counts)}"
