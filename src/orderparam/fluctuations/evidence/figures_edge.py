"""Figures of sharpness: the catapult of linear networks, and eigenvalues of tangent kernels."""

from collections.abc import Sequence

from orderparam.fluctuations.evidence.drawing import (
    BARS,
    SHORT_TIME,
    curve,
    ensemble_points,
    network_line,
)
from orderparam.fluctuations.evidence.measures import (
    is_centred,
    kernel_sharpness,
    rate,
    runs_of,
)
from orderparam.plots.style import THEORY, colour, describe, panels, styled
from orderparam.results.pair import Pair
from orderparam.support.later import Axes, Figure

MOST_POINTS = 50
"""Enough to show every step of a catapult."""


@styled
def catapult(pairs: Sequence[Pair]) -> Figure:
    """Sharpness and variances of error and kernel; a row for centred and uncentred outputs."""
    kinds = sorted({is_centred(pair) for pair in pairs})
    figure, axes = panels(len(kinds), 3, size=(3.4, 2.7))
    for row, centred in zip(axes, kinds, strict=True):
        group = sorted((p for p in pairs if is_centred(p) == centred), key=rate)
        for index, pair in enumerate(group):
            label = rf"$\eta = {rate(pair):g}$"
            steps = pair.theory["time"].values.astype(float)
            row[0].plot(
                steps, kernel_sharpness(pair), color=colour(index), label=label, marker=".",
                markersize=4, linewidth=1,
            )  # fmt: skip
            for panel, name in zip(row[1:], ("Delta_nvar", "ntk_nvar"), strict=True):
                _flat(panel, pair, name, index)
        row[0].axhline(2, color=THEORY, linestyle="--", linewidth=0.9, label="edge of stability")
        title = "centred outputs, f(t) - f(0)" if centred else "outputs not centred"
        for panel, name in zip(row, ("sharpness", "error", "kernel"), strict=True):
            panel.set(xlabel="training step", title=f"{title}: {name}")
            panel.title.set_fontsize(8.5)
        row[0].set_ylabel(r"sharpness $\eta\,K$")
        row[1].set_ylabel(r"$N\,\mathrm{Var}[\Delta]$")
        row[2].set(ylabel=r"$N\,\mathrm{Var}[K]$", yscale="log")
    note = f"{network_line(pairs)}\n{BARS}"
    if pairs[0].sizes:
        count = len(pairs[0].runs("f", pairs[0].sizes[-1])["seed"])
        note += f" ({count} of N = {pairs[0].sizes[-1]})"
    describe(figure, "Progressive sharpening, the edge of stability, and fluctuations", note,
             legend_of=[axes[0, 0]], columns=4)  # fmt: skip
    return figure


def _flat(axes: Axes, pair: Pair, name: str, index: int) -> None:
    """A variable with one entry at each step, of theory and networks."""
    steps = pair.theory["time"].values.astype(float)
    mean, error = pair.theory[name].values.ravel(), pair.theory.error(name).values.ravel()
    curve(axes, steps, mean, error, colour=colour(index))
    if pair.sizes:
        runs = runs_of(pair, name, pair.sizes[-1])
        ensemble_points(axes, steps, runs.reshape(len(runs), -1), colour=colour(index), style=index)


@styled
def eigenvalues(pairs: Sequence[Pair]) -> Figure:
    """Limits, variances and shifts of all eigenvalues over training."""
    (pair,) = pairs[:1]
    figure, axes = panels(1, 3, size=(3.4, 3.1))
    theory, times = pair.theory, pair.theory["eta_t"].values
    levels = theory["ntk_eigenvalues"].values.shape[1]
    for mode in range(levels):
        shade, label = colour(mode), rf"$\lambda_{mode + 1}$"
        axes[0, 0].plot(times, theory["ntk_eigenvalues"].values[:, mode], color=shade, label=label)
        for panel, ending in zip(axes[0, 1:3], ("_nvar", "_shift"), strict=True):
            name = f"ntk_eigenvalues{ending}"
            error = theory.error(name).values[:, mode]
            curve(panel, times, theory[name].values[:, mode], error, colour=shade)
            if pair.sizes and name in (pair.experiment or ()):
                runs = runs_of(pair, name, pair.sizes[-1])[..., mode]
                ensemble_points(panel, times, runs, colour=shade, style=mode)
    axes[0, 0].set_ylabel(r"eigenvalue $\lambda_k$ of $K$, limit")
    axes[0, 1].set(ylabel=r"$N\,\mathrm{Var}[\lambda_k]$", ylim=(0, None))
    axes[0, 2].set_ylabel(r"$N\,\langle\lambda_k - \lambda_{k,\infty}\rangle$")
    axes[0, 2].axhline(0, color=THEORY, linewidth=0.6)
    for panel in axes[0]:
        panel.set_xlabel(SHORT_TIME)
    note = f"{network_line(pairs)}\n{BARS}"
    if pair.sizes:
        count = len(pair.runs("f", pair.sizes[-1])["seed"])
        note += f" ({count} of N = {pair.sizes[-1]})"
    describe(figure, "Eigenvalues of the tangent kernel at finite width", note,
             legend_of=[axes[0, 0]], columns=3)  # fmt: skip
    return figure
