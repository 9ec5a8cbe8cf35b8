"""Figures of one-pass SGD: loss, overlaps, escape, selection, tail, Hessian, noise floor."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from orderparam.errors import OrderParamError
from orderparam.online.hessian import hessian_spectrum
from orderparam.online.isotropic import isotropic
from orderparam.online.measures import (
    escape_times,
    frame_overlap,
    reached_and_predicted,
    rebuilt,
    states_at,
)
from orderparam.plots.figure_kind import FigureKind
from orderparam.plots.pair import Pair
from orderparam.plots.style import THEORY, colour, describe, marker, panels, styled

SYMBOLS = {
    "learning_rate": r"\eta", "students": "p", "teachers": "p^*", "dimension": "N",
    "label_noise": r"\Delta",
}  # fmt: skip
_TIME = "time $t$  (samples / N)"


def _model(pairs: Sequence[Pair]) -> str:
    """What the problems share, in one line."""
    problems = [pair.theory.problem for pair in pairs]
    first, start = problems[0], problems[0]["start"]
    parts = [f"{first['activation']} activation"]
    for name, symbol in (("students", "p"), ("teachers", "p^*")):
        if all(other["start"][name] == start[name] for other in problems):
            parts.append(f"${symbol} = {start[name]}$")
    for name, symbol in (("learning_rate", r"\eta"), ("label_noise", r"\Delta")):
        if first[name] and all(other[name] == first[name] for other in problems):
            parts.append(f"${symbol} = {first[name]:g}$")
    return ", ".join(parts)


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


def _seeds(pair: Pair) -> str:
    return f"{pair.runs('loss', pair.sizes[-1]).sizes['seed']} runs"


@styled
def loss_curves(pairs: Sequence[Pair]) -> Figure:
    """Loss over time: theory, single runs and the level of the plateau."""
    figure, axes = panels(1, len(pairs), size=(4.4 if len(pairs) == 1 else 3.3, 3.2), sharey=True)
    for panel, pair in zip(axes[0], pairs, strict=True):
        times = pair.theory["time"].values
        if pair.sizes:
            size = pair.sizes[-1]
            runs = pair.runs("loss", size).values.reshape(-1, len(times))
            for index, run in enumerate(runs[:8]):
                label = f"SGD runs, N = {size}" if index == 0 else None
                panel.plot(times, run, color=colour(2), linewidth=0.7, alpha=0.6, label=label)
        curves = pair.theory["loss"].values.reshape(-1, len(times))
        for index, curve in enumerate(curves[:8]):
            panel.plot(times, curve, color=THEORY, label="overlap equations" if not index else None)
        try:
            level = isotropic(rebuilt(pair.theory)).plateau_loss()
            panel.axhline(level, color=colour(5), linestyle="--", linewidth=1, label="plateau")
        except OrderParamError:
            pass  # no closed form for this model, so no line
        panel.set(yscale="log", xlabel=_TIME, title=pair.label)
    axes[0, 0].set_ylabel(r"population loss $\epsilon_g$")
    describe(figure, "Loss over time", _model(pairs), legend_of=axes[0].tolist(), columns=3)
    return figure


@styled
def overlap_curves(pairs: Sequence[Pair]) -> Figure:
    """All overlaps over time: theory as lines, mean over runs with its standard error."""
    (pair,) = pairs
    figure, axes = panels(1, 2, size=(4.2, 3.4))
    times = pair.theory["time"].values
    for panel, name in zip(axes[0], ("Q", "M"), strict=True):
        values = pair.theory[name].values
        entries = [e for e in np.ndindex(values.shape[1:]) if name == "M" or e[0] <= e[1]]
        for index, (k, m) in enumerate(entries):
            label = rf"${name}_{{{k + 1}{m + 1}}}$"
            panel.plot(times, values[:, k, m], color=colour(index), label=label)
            if pair.sizes:
                runs = pair.runs(name, pair.sizes[-1]).values[:, :, k, m]
                error = runs.std(axis=0, ddof=1) / math.sqrt(len(runs))
                panel.errorbar(
                    times, runs.mean(axis=0), yerr=error, fmt=marker(index), markersize=3,
                    color=colour(index), elinewidth=0.8,
                )  # fmt: skip
        panel.set(xlabel=_TIME, ylabel=f"overlaps ${name}$")
        panel.legend(ncols=2)
    note = _model(pairs)
    if pair.sizes:
        note += f"\nlines: theory; points: mean of {_seeds(pair)} of SGD at N = {pair.sizes[-1]},"
        note += " bars: standard error"
    describe(figure, "Overlaps: theory and SGD", note)
    return figure


@styled
def escape_histogram(pairs: Sequence[Pair]) -> Figure:
    """Escape times over random starts: SGD, the equations, and the closed law."""
    from orderparam.online.escape import escape_law

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
    note = f"{_model(pairs)}; escape: loss 5 % below the plateau"
    describe(figure, "Escape times over random starts", note, legend_of=axes, columns=3)
    return figure


@styled
def escape_scaling(pairs: Sequence[Pair]) -> Figure:
    """Mean escape time against N, with the closed law for each width."""
    from orderparam.online.escape import escape_law

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


def _widths(pair: Pair) -> tuple[int, int]:
    """P and p*."""
    start = pair.theory.problem["start"]
    return start["students"], start["teachers"]


def _integrated(pair: Pair) -> np.ndarray:
    """Escape times of the equations."""
    return np.asarray(pair.theory["escape_time"].values)


@styled
def selection_scatter(pairs: Sequence[Pair]) -> Figure:
    """Entries of M reached against those of the predicted solution, equations and SGD."""
    shown = [(pair, route) for pair in pairs for route in _routes(pair)]
    figure, axes = panels(1, len(shown), size=(3.3, 3.3), sharey=True)
    for panel, (pair, route) in zip(axes[0], shown, strict=True):
        predicted, theory, runs = reached_and_predicted(pair, route)
        if runs is not None:
            panel.plot(
                predicted.ravel(), runs.ravel(), marker="o", markersize=3, linestyle="none",
                color=colour(2), alpha=0.6, label=f"SGD, N = {pair.sizes[-1]}",
            )  # fmt: skip
        panel.plot(
            predicted.ravel(), theory.ravel(), marker="+", markersize=5, linestyle="none",
            color=THEORY, label="overlap equations",
        )  # fmt: skip
        ends = [predicted.min(), predicted.max()]
        panel.plot(ends, ends, color=colour(5), linewidth=1, label="reached = predicted")
        title = pair.label if len(pairs) == len(shown) else _ROUTES[route]
        if runs is not None:
            title += f"\nmean frame overlap of SGD {frame_overlap(predicted, runs).mean():.2f}"
        panel.set(xlabel=r"predicted $M_{km}$", title=title)
    axes[0, 0].set_ylabel(r"reached $M_{km}$")
    title = "The solution that training selects"
    describe(figure, title, _model(pairs), legend_of=axes[0].tolist(), columns=3)
    return figure


_ROUTES = {"polar": "closest solution (polar factor)", "gram_schmidt": "Gram-Schmidt frame"}


def _routes(pair: Pair) -> tuple[str, ...]:
    """The polar factor, and beside it Gram-Schmidt where the teacher is not isotropic."""
    T = pair.theory["T"].values
    level = np.trace(T, axis1=-2, axis2=-1)[..., None, None] / T.shape[-1]
    isotropic_teacher = np.abs(T - level * np.eye(T.shape[-1])).max() < 1e-8
    return ("polar",) if isotropic_teacher else ("polar", "gram_schmidt")


@styled
def tail(pairs: Sequence[Pair]) -> Figure:
    """Loss in double logarithmic axes, with the predicted C/t^2."""
    figure, axes = panels(1, 1, size=(4.8, 3.5))
    panel = axes[0, 0]
    for index, pair in enumerate(pairs):
        times, loss = pair.theory["time"].values, pair.theory["loss"].values
        shown = (times > 0) & (loss > 1e-13)
        panel.plot(times[shown], loss[shown], color=colour(index), label=f"{pair.label}, theory")
        if pair.sizes:
            runs = pair.runs("loss", pair.sizes[-1]).mean("seed").values
            good = (times > 0) & (runs > 1e-13)
            panel.plot(
                times[good], runs[good], marker(index), markersize=3, color=colour(index),
                label=f"{pair.label}, SGD, N = {pair.sizes[-1]}",
            )  # fmt: skip
        amplitude = isotropic(rebuilt(pair.theory)).tail_coefficient()
        if math.isfinite(amplitude):
            late = times > times[-1] / 30
            panel.plot(
                times[late], amplitude / times[late] ** 2, color=THEORY, linestyle=":", zorder=4,
                label=r"predicted $C/t^2$" if index else None,
            )  # fmt: skip
    panel.set(xscale="log", yscale="log", xlabel=_TIME, ylabel=r"population loss $\epsilon_g$")
    title = "Overparameterised students converge algebraically"
    describe(figure, title, _model(pairs), legend_of=[panel], columns=2)
    return figure


@styled
def hessian(pairs: Sequence[Pair]) -> Figure:
    """Eigenvalues of the Hessian along the trajectory; thick ones come N times."""
    (pair,) = pairs
    problem = rebuilt(pair.theory)
    figure, axes = panels(2, 1, size=(5.4, 2.3), sharex=True)
    times, dimension = pair.theory["time"].values, 1000
    for time, state in zip(times, states_at(pair.theory), strict=True):
        found = hessian_spectrum(problem, state, dimension)
        for many, size in ((False, 2), (True, 5)):
            chosen = (found.multiplicity > 1) == many
            axes[0, 0].plot(
                np.full(chosen.sum(), time), found.values[chosen], ".", markersize=size,
                color=colour(2) if many else THEORY, alpha=0.7,
            )  # fmt: skip
    axes[0, 0].plot([], [], ".", color=THEORY, label="once, in the space of the vectors")
    axes[0, 0].plot([], [], ".", color=colour(2), label="many times, outside that space")
    axes[0, 0].axhline(0, color=THEORY, linewidth=0.6)
    axes[0, 0].set_ylabel("Hessian eigenvalue")
    axes[1, 0].plot(times, pair.theory["loss"].values, color=THEORY)
    axes[1, 0].set(yscale="log", xlabel=_TIME, ylabel=r"$\epsilon_g$")
    title = "Hessian of the population loss along training"
    describe(figure, title, _model(pairs), legend_of=[axes[0, 0]], columns=2)
    return figure


@styled
def noise_floor(pairs: Sequence[Pair]) -> Figure:
    """Stationary loss against the learning rate: formula, equations and SGD."""
    figure, axes = panels(1, 1, size=(4.8, 3.4))
    panel = axes[0, 0]
    numbers = [isotropic(rebuilt(pair.theory)) for pair in pairs]
    share = np.array([n.eta / n.critical_learning_rate for n in numbers])
    grid = np.linspace(0.01, min(0.97, 1.1 * share.max()), 200)
    first = numbers[0]
    unit = first.critical_learning_rate * first.label_noise * first.a * first.b * first.theta
    panel.plot(grid, unit * first.q * grid / (1 - grid), color=colour(5), label="closed form")
    ends = [pair.theory["loss"].values[-1] for pair in pairs]
    panel.plot(share, ends, "+", markersize=9, color=THEORY, label="overlap equations")
    if all(pair.sizes for pair in pairs):
        means, errors = zip(*map(_late, pairs), strict=True)
        label = f"SGD, N = {pairs[0].sizes[-1]}, {_seeds(pairs[0])}"
        panel.errorbar(
            share, means, yerr=errors, fmt="o", markersize=4, color=colour(2), label=label
        )
    panel.set(
        yscale="log", xlabel=r"learning rate $\eta/\eta_c$", ylabel=r"stationary $\epsilon_g$"
    )
    title = "Stationary loss with label noise"
    problem = pairs[0].theory.problem
    start = problem["start"]
    note = rf"$p = {start['students']}$, $p^* = {start['teachers']}$, "
    note += rf"$\Delta = {problem['label_noise']:g}$; bars: standard error over runs"
    describe(figure, title, note, legend_of=[panel], columns=3)
    return figure


def _late(pair: Pair) -> tuple[float, float]:
    """Mean of the second half of the runs, and its standard error over runs."""
    runs = pair.runs("loss", pair.sizes[-1]).values
    half = runs[:, runs.shape[1] // 2 :].mean(axis=1)
    return float(half.mean()), float(half.std(ddof=1) / math.sqrt(len(half)))


_CURVES: dict[str, Any] = {"needs": ("loss",)}
FIGURES: dict[str, FigureKind] = {
    "loss": FigureKind(loss_curves, "Loss over time.", **_CURVES),
    "overlaps": FigureKind(overlap_curves, "All overlaps over time.", True, ("Q", "M")),
    "escape": FigureKind(escape_histogram, "Escape times.", False, ("escape_time",), True),
    "escape-scaling": FigureKind(
        escape_scaling, "Escape time against N.", False, ("escape_time",), True
    ),
    "selection": FigureKind(selection_scatter, "Selected solutions.", needs=("M", "T")),
    "tail": FigureKind(tail, "Algebraic tail.", **_CURVES),
    "hessian": FigureKind(hessian, "Hessian along training.", True, ("Q", "M", "T")),
    "noise-floor": FigureKind(noise_floor, "Stationary loss.", **_CURVES),
}
