"""Figures of the escape from the plateau."""

import math
from collections.abc import Sequence

import numpy as np

from orderparam.online.analysis.escape import escape_law
from orderparam.online.evidence.captions import model_line
from orderparam.online.evidence.measures import escape_times, rebuilt
from orderparam.online.theory.isotropic import isotropic
from orderparam.plots.style import THEORY, colour, describe, marker, panels, styled
from orderparam.results.pair import Pair
from orderparam.support.later import Axes, Figure


@styled
def escape_histogram(pairs: Sequence[Pair]) -> Figure:
    """Escape times over random starts: SGD, the equations, and the closed law."""
    figure, axes = _grid(len(pairs), (3.2, 2.7))
    for panel, pair in zip(axes, pairs, strict=True):
        theory = pair.theory["escape_time"].values
        measured = escape_times(pair)
        both = np.concatenate([theory, measured])
        edges = np.linspace(np.nanmin(both), np.nanmax(both), 16)
        panel.hist(
            measured[np.isfinite(measured)], edges, density=True, color=colour(2), alpha=0.45,
            label="SGD",
        )  # fmt: skip
        panel.hist(
            theory[np.isfinite(theory)], edges, density=True, histtype="step", color=THEORY,
            label="overlap equations",
        )  # fmt: skip
        grid = np.linspace(edges[0] - 5, edges[-1] + 5, 300)
        law = escape_law(rebuilt(pair.theory))
        panel.plot(grid, law.pdf(grid), color=colour(5), label=r"closed law, log-$\chi^2$")
        panel.set(xlabel=r"escape time $t_{esc}$  (samples / N)", title=pair.label)
    note = f"{model_line(pairs)}; escape: loss 5 % below the plateau"
    describe(figure, "Escape times over random starts", note, legend_of=axes, columns=3)
    return figure


@styled
def escape_scaling(pairs: Sequence[Pair]) -> Figure:
    """Mean escape time against N, with the closed law for each width."""
    figure, axes = panels(1, 1, size=(5.0, 3.6))
    panel = axes[0, 0]
    widths = sorted({_widths(pair) for pair in pairs})
    for index, (p, teachers) in enumerate(widths):
        group = [q for q in pairs if _widths(q) == (p, teachers)]
        sizes = [q.theory.problem["start"]["dimension"] for q in group]
        for shift, (label, get, fill) in enumerate(
            (("SGD", escape_times, "full"), ("equations", _integrated, "none"))
        ):
            times = [get(q) for q in group]
            means = [np.nanmean(t) for t in times]
            errors = [np.nanstd(t, ddof=1) / math.sqrt(np.isfinite(t).sum()) for t in times]
            panel.errorbar(
                np.array(sizes) * (0.97 + 0.06 * shift), means, yerr=errors, fmt=marker(index),
                fillstyle=fill, color=colour(index), markersize=5,
                label=f"$p = {p}$, $p^* = {teachers}$, {label}",
            )  # fmt: skip
        grid = np.geomspace(min(sizes) / 1.5, max(sizes) * 1.5, 30)
        law = [escape_law(rebuilt(group[0].theory), int(n)).mean for n in grid]
        panel.plot(grid, law, color=colour(index), linewidth=1)
    panel.set(xscale="log", xlabel="input dimension $N$", ylabel=r"mean of $t_{esc}$ (samples / N)")
    ticks = sorted({pair.theory.problem["start"]["dimension"] for pair in pairs})
    panel.set_xticks(ticks, [str(tick) for tick in ticks])
    panel.minorticks_off()
    note = r"lines: closed law with SGD noise, slope $1/2\Lambda$ in $\ln N$"
    note += "; bars: standard error over starts"
    describe(figure, "Escape takes a time of order log N", note, legend_of=[panel], columns=2)
    return figure


@styled
def escape_prefactors(pairs: Sequence[Pair]) -> Figure:
    """ln(plateau - loss) in time at the largest N: one slope, a prefactor for each width.

    Shown where every start is in the regime of the law: below the plateau, and not far below.
    """
    widths = sorted({_widths(pair) for pair in pairs}, key=lambda width: width[::-1])
    found = {width: _fall(_largest(pairs, width)) for width in widths}
    left_out = [width for width, (times, *_) in found.items() if not len(times)]
    shown = [width for width in widths if width not in left_out] or widths
    teachers = sorted({q for _, q in shown})
    figure, axes = panels(1, len(teachers), size=(3.8, 3.2), sharey=True)
    for panel, q in zip(axes[0], teachers, strict=True):
        for index, width in enumerate(w for w in shown if w[1] == q):
            times, mean, error, line = found[width]
            panel.errorbar(
                times[::6], mean[::6], yerr=error[::6], fmt=marker(index), markersize=4,
                color=colour(index), label=f"$p = {width[0]}$, $p^* = {q}$",
            )  # fmt: skip
            panel.plot(times, line, color=colour(index), linewidth=1)
        panel.set(xlabel=r"time $t$  (samples / N)")
    axes[0, 0].set_ylabel(r"mean of $\ln(\epsilon_{pl} - \epsilon_g)$, equations")
    note = r"lines: closed law, slope $2\Lambda$; bars: standard error over starts"
    if left_out:
        names = ", ".join(f"({p}, {q})" for p, q in left_out)
        note += f"\nno time is common to all starts at $(p, p^*)$ = {names}"
    describe(figure, "One slope, several prefactors", note, legend_of=axes[0].tolist(), columns=2)
    return figure


def _largest(pairs: Sequence[Pair], width: tuple[int, int]) -> Pair:
    """The case of a width with the largest dimension."""
    group = [pair for pair in pairs if _widths(pair) == width]
    return max(group, key=lambda found: found.theory.problem["start"]["dimension"])


def _fall(pair: Pair) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Times, mean and standard error of ln(plateau - loss) over starts, and the closed law."""
    problem = rebuilt(pair.theory)
    level, law = isotropic(problem).plateau_loss(), escape_law(problem, sgd_noise=False)
    times, fall = pair.theory["time"].values, level - pair.theory["loss"].values
    known = (fall > 1e-12 * level).all(axis=0) & (fall < 0.2 * level).all(axis=0)
    logs, times = np.log(fall[:, known]), times[known]
    error = logs.std(axis=0, ddof=1) / math.sqrt(len(logs))
    line = math.log(0.05 * level) + 2 * law.rate * (times - law.mean)
    return times, logs.mean(axis=0), error, line


def _widths(pair: Pair) -> tuple[int, int]:
    """P and p*."""
    start = pair.theory.problem["start"]
    return start["students"], start["teachers"]


def _integrated(pair: Pair) -> np.ndarray:
    """Escape times of the equations."""
    return np.asarray(pair.theory["escape_time"].values)


def _grid(number: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """Panels in rows of at most four."""
    columns = min(number, 4)
    rows = -(-number // columns)
    figure, axes = panels(rows, columns, size=size, sharey=True)
    for row in axes:
        row[0].set_ylabel("density")
    for unused in axes.ravel()[number:]:
        unused.remove()
    return figure, axes.ravel()[:number].tolist()
