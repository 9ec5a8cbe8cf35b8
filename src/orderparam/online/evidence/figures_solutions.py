"""Figures of where training ends: selection, tail, Hessian, noise floor."""

import math
from collections.abc import Sequence

import numpy as np

from orderparam.online.analysis.hessian import hessian_spectrum
from orderparam.online.evidence.captions import TIME, model_line, seeds_line
from orderparam.online.evidence.measures import (
    frame_overlap,
    reached_and_predicted,
    rebuilt,
    states_at,
)
from orderparam.online.theory.isotropic import isotropic
from orderparam.plots.style import THEORY, colour, describe, marker, panels, styled
from orderparam.results.pair import Pair
from orderparam.support.later import Figure


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
    describe(figure, title, model_line(pairs), legend_of=axes[0].tolist(), columns=3)
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
    panel.set(xscale="log", yscale="log", xlabel=TIME, ylabel=r"population loss $\epsilon_g$")
    title = "Overparameterised students converge algebraically"
    describe(figure, title, model_line(pairs), legend_of=[panel], columns=2)
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
    axes[1, 0].set(yscale="log", xlabel=TIME, ylabel=r"$\epsilon_g$")
    title = "Hessian of the population loss along training"
    describe(figure, title, model_line(pairs), legend_of=[axes[0, 0]], columns=2)
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
        label = f"SGD, N = {pairs[0].sizes[-1]}, {seeds_line(pairs[0])}"
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
