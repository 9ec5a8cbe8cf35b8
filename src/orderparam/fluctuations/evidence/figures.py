"""Figures of fluctuations by name, and those of variances and shifts over time."""

from collections.abc import Sequence

import numpy as np

from orderparam.fluctuations.evidence.drawing import BARS, TIME, ensemble_points, network_line
from orderparam.fluctuations.evidence.figures_cases import bands, depths, strengths
from orderparam.fluctuations.evidence.figures_edge import catapult, eigenvalues
from orderparam.fluctuations.evidence.figures_widths import ensembles, width_laws
from orderparam.plots.curves import theory_curve
from orderparam.plots.figure_kind import FigureKind
from orderparam.plots.style import THEORY, colour, describe, panels, styled
from orderparam.results.pair import Pair
from orderparam.support.later import Axes, Figure

MOST_SAMPLES, MOST_WIDTHS = 4, 3

SYMBOLS = {"gamma0": r"\gamma_0", "learning_rate": r"\eta", "depth": "L"}


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
    note = BARS if any(pair.sizes for pair in pairs) else BARS.partition(";")[0]
    if all("evolution" in pair.theory.problem for pair in pairs):
        note = f"{network_line(pairs)}\n{note}"
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
    """The theory, and the mean over some ensembles with its error at a dozen times."""
    theory_curve(axes, pair, name, colour=shade, label=label, **chosen)
    if pair.experiment is None or name not in pair.experiment:
        return
    sizes = pair.sizes
    at = np.unique(np.linspace(0, len(sizes) - 1, min(MOST_WIDTHS, len(sizes))).astype(int))
    for index, size in enumerate(sizes[i] for i in at):
        runs = pair.runs(name, size).sel(chosen).transpose("seed", "time")
        ensemble_points(
            axes, runs["eta_t"].values, runs.values, colour=shade, style=index,
            label=f"networks, N = {size}" if not label else None,
        )  # fmt: skip


FIGURES: dict[str, FigureKind] = {
    "variance": FigureKind(
        variance, "N times the variance of predictions and loss over time.", needs=("f_nvar",)
    ),
    "shift": FigureKind(
        shift,
        "N times the difference of the mean over networks and the limit, of predictions and loss.",
        needs=("f_shift",),
    ),
    "strengths": FigureKind(
        strengths,
        "N times the variance of a train and of a test prediction, and of the tangent kernel "
        "relative to its square, over training, for several feature-learning strengths.",
        needs=("f_nvar", "ntk_nvar"),
    ),
    "depths": FigureKind(
        depths,
        "Deep linear networks: variance of the tangent kernel and of predictions over training, "
        "and variance of the feature kernels of all layers after it.",
        needs=("f_nvar", "ntk_nvar", "Phi_nvar"),
    ),
    "width-laws": FigureKind(
        width_laws,
        "Mean square deviation of predictions from the limit, squared mean deviation, and skewness "
        "of the initial tangent kernel, against width.",
        needs=("f_nvar", "f_shift"),
        runs=True,
    ),
    "ensembles": FigureKind(
        ensembles,
        "N times the excess of the loss of one network, of the mean prediction of eight, and of "
        "any number.",
        needs=("loss_shift", "loss_noise"),
        runs=True,
    ),
    "catapult": FigureKind(
        catapult,
        "Sharpness, and N times the variance of error and kernel, for several learning rates.",
        needs=("ntk_eigenvalues", "Delta_nvar", "ntk_nvar"),
    ),
    "eigenvalues": FigureKind(
        eigenvalues,
        "Eigenvalues of the tangent kernel over training: limits, variances and mean shifts.",
        needs=("ntk_eigenvalues", "ntk_eigenvalues_shift"),
    ),
    "bands": FigureKind(
        bands,
        "Training loss of single networks over the predicted mean and band of two standard "
        "deviations, for each width.",
        needs=("loss_nvar", "loss_shift"),
        runs=True,
    ),
}
