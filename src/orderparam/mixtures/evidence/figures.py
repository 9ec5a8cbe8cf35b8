"""Figures of Gaussian mixtures: learning curves, phase diagrams, separability and message passing.

Every function takes pairs of theory and experiment, one for each case of a study, and returns a
matplotlib figure that is neither shown nor saved.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from orderparam.mixtures.analysis.decision import calibration, roc_curve
from orderparam.mixtures.evidence.figures_parts import (
    ALPHA,
    SHOWN,
    along,
    annotate,
    draw_bars,
    draw_curve,
    setting,
    settings_of,
)
from orderparam.plots.figure_kind import FigureKind
from orderparam.plots.style import THEORY, colour, describe, panels, styled
from orderparam.results import Pair, Solution
from orderparam.support.later import Figure

Measured = Mapping[str, Float[np.ndarray, "split alpha"]]
SYMBOLS = {"strength": r"\lambda", "alpha": r"\alpha", "positive_weight": r"\rho_+"}


@styled
def learning_curves(pairs: Sequence[Pair]) -> Figure:
    """Errors and training loss against samples per dimension, one colour a case."""
    figure, axes = panels(1, len(SHOWN), size=(3.3, 3.0))
    for panel, (name, label) in zip(axes[0], SHOWN.items(), strict=True):
        for index, pair in enumerate(pairs):
            draw_curve(panel, pair, name, "alpha", index)
        panel.set(xlabel=ALPHA, ylabel=label)
        panel.set_ylim(bottom=0)
    annotate(figure, axes, pairs, "Learning curves")
    return figure


@styled
def strength_curves(pairs: Sequence[Pair]) -> Figure:
    """Errors and training loss against the strength of the penalty."""
    figure, axes = panels(1, len(SHOWN), size=(3.3, 3.0))
    for panel, (name, label) in zip(axes[0], SHOWN.items(), strict=True):
        for index, pair in enumerate(pairs):
            draw_curve(panel, pair, name, "strength", index)
        bayes = pairs[0].theory.diagnostics.get("bayes_error")
        if name == "test_error" and bayes is not None:
            axes[0, 0].axhline(bayes, color=THEORY, linestyle=":", linewidth=1, label="Bayes error")
        panel.set(xlabel=r"strength $\lambda$ of the penalty", ylabel=label, xscale="log")
    annotate(figure, axes, pairs, "Effect of the penalty")
    return figure


@styled
def phase_diagram(pairs: Sequence[Pair]) -> Figure:
    """Test error over samples and strength, with the best strength at each number of samples."""
    figure, axes = panels(1, len(pairs), size=(4.2, 3.4))
    for panel, pair in zip(axes[0], pairs, strict=True):
        error = pair.theory["test_error"].transpose("strength", "alpha")
        alpha, strength = error["alpha"].values, error["strength"].values
        image = panel.pcolormesh(alpha, strength, error.values, cmap="viridis", rasterized=True)
        best = strength[np.nanargmin(error.values, axis=0)]
        panel.plot(alpha, best, color="white", linestyle="--", label="best strength")
        panel.set(yscale="log", xlabel=ALPHA, ylabel=r"strength $\lambda$", title=pair.label)
        bar = figure.colorbar(image, ax=panel)
        bar.set_label(SHOWN["test_error"])
        panel.legend(
            labelcolor="white", loc="upper right", frameon=True, facecolor="0.2", edgecolor="none"
        )
    describe(figure, "Test error over samples and penalty", settings_of(pairs))
    return figure


@styled
def separability(pairs: Sequence[Pair]) -> Figure:
    """Training error and the size of the margin across the separability threshold."""
    figure, axes = panels(1, 3, size=(3.3, 3.0))
    shown = {
        "train_error": SHOWN["train_error"],
        "test_error": SHOWN["test_error"],
        "margin": r"$1/\sqrt{Q}$, the margin where $\lambda \to 0$",
    }
    for panel, (name, label) in zip(axes[0], shown.items(), strict=True):
        for index, pair in enumerate(pairs):
            if name == "margin":
                margin = 1 / np.sqrt(pair.theory["Q"].isel(cluster=0).values)
                alpha = pair.theory["alpha"].values
                panel.plot(
                    alpha,
                    margin,
                    color=colour(index),
                    label=f"{pair.label or setting(pair)}: theory",
                )
            else:
                draw_curve(panel, pair, name, "alpha", index)
        threshold = pairs[0].theory.diagnostics.get("separability_threshold")
        if threshold is not None:
            panel.axvline(
                threshold, color=THEORY, linestyle=":", linewidth=1,
                label=rf"separable below $\alpha^* = {threshold:.4g}$",
            )  # fmt: skip
        panel.set(xlabel=ALPHA, ylabel=label)
        panel.set_ylim(bottom=0)
    annotate(figure, axes, pairs, "Separability of the training data")
    return figure


@styled
def message_passing(pairs: Sequence[Pair]) -> Figure:
    """Overlaps of message passing at every step, state evolution beside data."""
    figure, axes = panels(1, 3, size=(3.3, 3.0))
    labels = {"Q": r"$Q_k$", "m": r"$m_k$", "V": r"$V_k$"}
    for panel, (name, label) in zip(axes[0], labels.items(), strict=True):
        for index, pair in enumerate(pairs):
            for k in range(pair.theory.dataset.sizes["cluster"]):
                position = 2 * index + k
                values = along(pair.theory[name].isel(cluster=k))
                steps = pair.theory["time"].values
                text = ", ".join(part for part in (pair.label, f"cluster {k}") if part)
                panel.plot(steps, values, color=colour(position), label=f"{text}: theory")
                if pair.sizes:
                    runs = along(pair.runs(name, pair.sizes[-1]).isel(cluster=k))
                    draw_bars(panel, steps, runs, position, f"{text}: d = {pair.sizes[-1]}")
        panel.set(xlabel="step of message passing", ylabel=label)
    note = f"{settings_of(pairs)}\npoints: mean ± 2 standard errors over seeds"
    describe(figure, "Message passing and its theory", note, legend_of=axes[0].tolist(), columns=4)
    return figure


@styled
def roc(pairs: Sequence[Pair]) -> Figure:
    """ROC curve and calibration of binary cases with one point."""
    logistic = any(pair.theory.problem["loss"] == "logistic" for pair in pairs)
    figure, axes = panels(1, 2 if logistic else 1, size=(3.6, 3.2))
    for index, pair in enumerate(pairs):
        found = roc_curve(pair.theory)
        text = pair.label or setting(pair)
        label = f"{text}: area {found.area:.3f}"
        axes[0, 0].plot(found.false_positive, found.true_positive, color=colour(index), label=label)
        if pair.theory.problem["loss"] == "logistic":
            curve = calibration(pair.theory)
            axes[0, 1].plot(
                curve.predicted, curve.actual, color=colour(index),
                label=f"{text}: calibration error {curve.error:.3f}",
            )  # fmt: skip
    for panel in axes[0]:
        panel.plot([0, 1], [0, 1], color=THEORY, linestyle=":", linewidth=1)
        panel.set_aspect("equal")
    axes[0, 0].set(xlabel="false positive rate", ylabel="true positive rate")
    if logistic:
        axes[0, 1].set(xlabel="predicted probability", ylabel="actual probability")
    describe(figure, "Decisions", settings_of(pairs), legend_of=axes[0].tolist(), columns=1)
    return figure


@styled
def real_data_figure(theory: Solution, surrogate: Measured, real: Measured) -> Figure:
    """Theory, Gaussian surrogate and real data: test and train error along alpha."""
    figure, axes = panels(1, len(SHOWN), size=(3.3, 3.0))
    alpha = theory["alpha"].values
    for panel, (name, label) in zip(axes[0], SHOWN.items(), strict=True):
        panel.plot(alpha, theory[name].values, color=THEORY, label="theory from moments")
        for index, (text, source) in enumerate(
            (("Gaussian samples of these moments", surrogate), ("real data", real))
        ):
            draw_bars(panel, alpha, source[name], index, text)
        panel.set(xlabel=ALPHA, ylabel=label, xscale="log")
    note = "points: mean ± 2 standard errors over splits"
    describe(figure, "Learning curve of a dataset", note, legend_of=axes[0].tolist(), columns=3)
    return figure


FIGURES: dict[str, FigureKind] = {
    "learning": FigureKind(learning_curves, "Errors and loss against samples per dimension."),
    "strength": FigureKind(strength_curves, "Errors and loss against the strength."),
    "phase": FigureKind(phase_diagram, "Test error over samples and strength."),
    "separability": FigureKind(separability, "Across the separability threshold."),
    "messages": FigureKind(message_passing, "Message passing step by step.", needs=("Q", "V")),
    "decisions": FigureKind(roc, "ROC curve and calibration."),
}
