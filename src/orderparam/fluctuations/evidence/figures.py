"""Figures of finite-width fluctuations: theory with its band over ensembles with their errors."""

from collections.abc import Sequence

import numpy as np

from orderparam.plots.curves import theory_curve
from orderparam.plots.figure_kind import FigureKind
from orderparam.plots.style import THEORY, colour, describe, marker, panels, styled
from orderparam.results.pair import Pair
from orderparam.support.later import Axes, Figure

TIME = r"training time $\eta\,t$  (learning rate × steps)"
MOST_SAMPLES = 4

SYMBOLS = {"gamma0": r"\gamma_0", "learning_rate": r"\eta"}


@styled
def variance(pairs: Sequence[Pair]) -> Figure:
    """N Var of predictions and of the training loss over time, one row for each pair."""
    return _over_time(pairs, "nvar", "Variance over networks, times width")


@styled
def shift(pairs: Sequence[Pair]) -> Figure:
    """N times the mean shift of predictions and of the training loss over time."""
    return _over_time(pairs, "shift", "Mean shift of networks, times width")


def _over_time(pairs: Sequence[Pair], suffix: str, title: str) -> Figure:
    """Predictions of a few samples on the left, the loss on the right."""
    figure, axes = panels(len(pairs), 2, size=(4.2, 3.0))
    for row, pair in zip(axes, pairs, strict=True):
        f = pair.theory[f"f_{suffix}"]
        for index, sample in enumerate(_shown(pair)):
            chosen = {"sample": sample} | ({"output": 0} if "output" in f.dims else {})
            split = str(pair.theory["split"].sel(sample=sample).values)
            _draw(row[0], pair, f"f_{suffix}", colour(index), f"{split} sample {sample}", chosen)
        row[0].set(ylabel=f"${f.attrs['symbol']}$", title=pair.label)
        name = f"loss_{suffix}" if f"loss_{suffix}" in pair.theory else f"test_loss_{suffix}"
        if name in pair.theory:
            _draw(row[1], pair, name, THEORY, "", {})
            row[1].set(ylabel=f"${pair.theory[name].attrs['symbol']}$")
        for panel in row:
            panel.set(xlabel=TIME)
    note = "lines: theory, bands: two errors"
    if any(pair.sizes for pair in pairs):
        note += "; points: ensembles of networks, bars: standard errors"
    describe(figure, title, note, legend_of=axes.ravel().tolist(), columns=3)
    return figure


def _shown(pair: Pair) -> list[int]:
    """The first samples of both kinds, in their order."""
    split = pair.theory["split"].values
    train, test = np.flatnonzero(split == "train"), np.flatnonzero(split == "test")
    half = MOST_SAMPLES // 2
    shown = [*train[: max(half, MOST_SAMPLES - len(test))], *test[:half]]
    return [int(sample) for sample in shown[:MOST_SAMPLES]]


def _draw(
    axes: Axes, pair: Pair, name: str, shade: str, label: str, chosen: dict[str, int]
) -> None:
    """The theory, and the mean over every ensemble with its error at a dozen times."""
    theory_curve(axes, pair, name, colour=shade, label=label, **chosen)
    if pair.experiment is None or name not in pair.experiment:
        return
    for index, size in enumerate(pair.sizes):
        runs = pair.runs(name, size).sel(chosen)
        times = runs["eta_t"].values
        kept = np.unique(np.linspace(0, len(times) - 1, min(12, len(times))).astype(int))
        values = runs.transpose("seed", "time").values[:, kept]
        error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
        axes.errorbar(
            times[kept], values.mean(axis=0), yerr=error, fmt=marker(index), markersize=3.5,
            color=shade, elinewidth=0.8, label=f"networks, N = {size}" if not label else None,
        )  # fmt: skip


FIGURES: dict[str, FigureKind] = {
    "variance": FigureKind(
        variance, "N times the variance of predictions and loss over time.", needs=("f_nvar",)
    ),
    "shift": FigureKind(
        shift, "N times the mean shift of predictions and loss over time.", needs=("f_shift",)
    ),
}
