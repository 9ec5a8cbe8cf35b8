"""How far networks are from the theory, against their width."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from orderparam.plots.style import colour, marker
from orderparam.results.pair import Pair
from orderparam.support.later import Axes, special


@dataclass(frozen=True)
class Deviation:
    """Relative root-mean-square deviations of one variable from the theory.

    Args:
        width: Width of each network.
        single: Deviation of each network.
        mean_width: Widths at which the mean over seeds deviates measurably.
        mean: Deviation of that mean.
    """

    width: Float[np.ndarray, " run"]
    single: Float[np.ndarray, " run"]
    mean_width: Float[np.ndarray, " resolved"]
    mean: Float[np.ndarray, " resolved"]

    def slope(self) -> tuple[float, float, float] | None:
        """Slope of log deviation against log width with its 95 % interval (Student's t).

        Returns:
            Slope, lower and upper end; `None` with one width or fewer than three networks.
        """
        if np.unique(self.width).size < 2 or self.width.size < 3 or not np.all(self.single > 0):
            return None
        x = np.log(self.width) - np.mean(np.log(self.width))
        y = np.log(self.single)
        slope = float(x @ y / (x @ x))
        residual = y - np.mean(y) - slope * x
        freedom = x.size - 2
        half = float(
            special.stdtrit(freedom, 0.975) * np.sqrt(residual @ residual / freedom / (x @ x))
        )
        return slope, slope - half, slope + half


def deviations(pair: Pair, name: str) -> Deviation:
    """Measure a variable's deviations, over time and entries, relative to the theory's own size.

    A network of width N deviates by its fluctuation, of order N^(-1/2). The mean over n seeds
    deviates by a bias of order 1/N plus noise; it is kept only where its mean square exceeds four
    times what the fluctuations over seeds and the theory's own error explain.

    Args:
        pair: Theory and experiment.
        name: A variable of both.
    """
    theory = pair.theory[name]
    scale = float(np.sqrt(np.mean(theory.values**2))) or 1.0
    error = float(np.sqrt(np.mean(pair.theory.error(name).values ** 2))) / scale
    width, single, mean_width, mean = [], [], [], []
    for size in pair.sizes:
        runs = pair.runs(name, size).transpose("seed", *theory.dims).values
        difference = (runs - theory.values).reshape(len(runs), -1) / scale
        single += np.sqrt(np.mean(difference**2, axis=1)).tolist()
        width += [float(size)] * len(runs)
        if len(runs) < 2:
            continue
        noise = float(np.mean(np.var(difference, axis=0, ddof=1))) / len(runs)
        square = float(np.mean(difference.mean(axis=0) ** 2))
        if square > 4 * (noise + error**2):
            mean_width.append(float(size))
            mean.append(np.sqrt(square - noise))
    return Deviation(np.array(width), np.array(single), np.array(mean_width), np.array(mean))


def draw_deviation(axes: Axes, measured: Deviation, index: int, symbol: str) -> None:
    """Draw one variable's deviations: filled points for networks, open ones for seed means.

    Args:
        axes: Where to draw, with logarithmic axes.
        measured: From `deviations`.
        index: Chooses colour and marker.
        symbol: The variable in the legend.
    """
    style: dict[str, Any] = {"color": colour(index), "marker": marker(index), "linestyle": "none"}
    slope = measured.slope()
    text = symbol
    if slope is not None:
        text += f": slope ${slope[0]:.2f}$ [${slope[1]:.2f}$, ${slope[2]:.2f}$]"
    # Variables stand side by side at each width instead of on top of each other.
    shift = 1.05 ** (index - 1.5)
    axes.plot(measured.width * shift, measured.single, markersize=4, alpha=0.8, label=text, **style)
    axes.plot(
        measured.mean_width * shift, measured.mean, markersize=7, markerfacecolor="none", **style
    )


def draw_guide(axes: Axes, measured: Deviation) -> None:
    """Draw the line of slope -1/2 through the geometric middle of one variable's points."""
    widths = np.unique(measured.width)
    middle = np.exp(np.mean(np.log(measured.single) + 0.5 * np.log(measured.width)))
    axes.plot(
        widths, middle / np.sqrt(widths), color="black", linewidth=1, linestyle=":",
        label=r"$\propto N^{-1/2}$", zorder=1,
    )  # fmt: skip
