"""Figures of what feature learning does: speed, alignment, silent growth, theories that fail."""

from collections.abc import Sequence

import numpy as np

from orderparam.kernels.evidence.captions import (
    METHODS,
    gamma0,
    method,
    model_text,
)  # fmt: skip
from orderparam.kernels.evidence.measures import FULL, error, leading_share, time_to, train_block
from orderparam.plots.curves import curve_axis, run_curves, theory_curve
from orderparam.plots.style import THEORY, colour, describe, marker, panels, styled
from orderparam.results.pair import Pair
from orderparam.support.later import Axes, Figure


@styled
def strength(pairs: Sequence[Pair]) -> Figure:
    """Speed of training and final alignment of the kernels against gamma0."""
    pairs = sorted(pairs, key=gamma0)
    figure, axes = panels(1, 3, size=(3.3, 3.0))
    loss, speed, aligned = axes[0]
    for index, pair in enumerate(pairs):
        theory_curve(loss, pair, "loss", colour=colour(index), label=pair.label)
        if pair.sizes:
            run_curves(loss, pair, "loss", pair.sizes[-1], colour=THEORY, label=_networks(pair))
    loss.set(yscale="log", xlabel=curve_axis(pairs[0].theory["loss"])[1])
    loss.set_ylabel(r"loss $\mathcal{L}$")
    x = np.array(list(map(gamma0, pairs)))
    times = [float(time_to(0.1, pair.theory)) for pair in pairs]
    speed.plot(x, times, color=THEORY, label="learning time, theory")
    speed.set(xscale="log", xlabel=r"feature-learning strength $\gamma_0$")
    speed.set_ylabel(r"learning time until $\mathcal{L} = \mathcal{L}(0)/10$")
    _ranges(speed, pairs, lambda p: _crossing_times(p), 2)
    speed.set_ylim(bottom=0)
    _final_alignment(aligned, pairs)
    note = (
        f"{model_text(pairs[0])}\ncurves: theory, bands and bars 2 standard errors; "
        "points: networks, bars from lowest to highest over seeds"
    )
    describe(
        figure,
        "Feature learning accelerates training and aligns the kernels",
        note,
        legend_of=axes[0].tolist(),
        columns=4,
    )
    return figure


def _final_alignment(panel: Axes, pairs: Sequence[Pair]) -> None:
    """Alignment of the kernels with the labels at the end, theory and networks."""
    for index, (name, at, text) in enumerate(_ALIGNMENTS):
        last = {"time": -1, **at}
        value = [float(p.theory[name].isel(last)) for p in pairs]
        errors = [p.theory.error(name) for p in pairs]
        bar = [2 * float(error.isel(last)) for error in errors]
        x = list(map(gamma0, pairs))
        panel.errorbar(x, value, yerr=bar, color=colour(index), marker="_", label=text)
        _ranges(
            panel,
            pairs,
            lambda p, n=name, where=last: p.runs(n, p.sizes[-1]).isel(where).values,
            index,
        )
    panel.set(xscale="log", xlabel=r"feature-learning strength $\gamma_0$")
    panel.set_ylabel(r"final alignment with $y y^\top$")


_ALIGNMENTS = (
    ("alignment", {}, "NTK, theory"),
    ("Phi_alignment", {"layer": -1}, r"$\Phi^L$, theory"),
)


@styled
def silent_growth(pairs: Sequence[Pair]) -> Figure:
    """Loss, alignment of the last feature kernel and rank of its growth, on one axis."""
    figure, axes = panels(1, len(pairs), size=(3.4, 3.0), sharey=True)
    for panel, pair in zip(axes[0], pairs, strict=True):
        curves = _silent(pair.theory["loss"].values, pair.theory["Phi_alignment"].values[:, -1])
        share = leading_share(np.moveaxis(train_block(pair.theory, "Phi"), -3, 0))[-1]
        times, label = curve_axis(pair.theory["loss"])
        for index, (curve, text) in enumerate(
            zip((*curves, share), ("loss / first loss", *_SILENT), strict=True)
        ):
            panel.plot(times, curve, color=colour(index), label=f"{text}, theory")
        if pair.sizes:
            width = pair.sizes[-1]
            runs = {n: pair.runs(n, width) for n in ("loss", "Phi_alignment")}
            both = _silent(
                runs["loss"].transpose("seed", "time").values,
                runs["Phi_alignment"].isel(layer=-1).transpose("seed", "time").values,
            )
            for index, curve in enumerate(both):
                text = ("loss / first loss", _SILENT[0])[index]
                panel.plot(
                    times, curve.mean(axis=0), color=THEORY, linestyle=(0, (4, 2)),
                    label=_networks(pair) if index == 0 else f"_{text}",
                )  # fmt: skip
                panel.fill_between(
                    times, curve.min(axis=0), curve.max(axis=0), color=THEORY, alpha=0.15, lw=0
                )
        loss = curves[0]
        early = int(np.argmax(loss < 0.9)) or len(loss) - 1
        panel.axvline(times[early], color="#777777", linewidth=0.9, linestyle=":")
        panel.set(xlabel=label, title=pair.label, ylim=(-0.03, 1.05))
    axes[0, 0].set_ylabel("fraction")
    note = (
        f"{model_text(pairs[0])}, initial weights of standard deviation "
        f"{pairs[0].theory.problem['network']['weight_std'][0]:g}\n"
        "dotted: 90 % of the loss remains; bands: networks from lowest to highest over seeds"
    )
    title = "Deep linear networks: kernels align with the labels before the loss falls"
    describe(figure, title, note, legend_of=axes[0].tolist(), columns=2)
    return figure


_SILENT = (r"alignment of $\Phi^L$ with $y y^\top$", r"share of one direction in $\Phi^L$'s growth")


@styled
def method_errors(pairs: Sequence[Pair]) -> Figure:
    """Error of the predictions against gamma0 for every method; networks are the yardstick."""
    names = list(dict.fromkeys(map(method, pairs)))
    figure, axes = panels(1, 1, size=(5.6, 4.0))
    panel: Axes = axes[0, 0]
    noise: dict[float, float] = {}
    for index, name in enumerate(names):
        cases = sorted((p for p in pairs if method(p) == name), key=gamma0)
        measured = [error(case, "f") for case in cases]
        x = np.array(list(map(gamma0, cases))) * 1.03 ** (index - (len(names) - 1) / 2)
        value, se = (np.array([getattr(m, part) for m in measured]) for part in ("value", "se"))
        if name in FULL:
            noise |= dict(zip(map(gamma0, cases), se, strict=True))
        low = np.minimum(2 * se, 0.9 * value)
        panel.errorbar(
            x, value, yerr=[low, 2 * se], color=colour(index), marker=marker(index), markersize=5,
            linewidth=1.3, elinewidth=1, capsize=2, label=METHODS.get(name, name),
            linestyle="-" if name not in FULL else (0, (2, 2)),
        )  # fmt: skip
    strengths = sorted(noise)
    if strengths:
        top = [2 * noise[g] for g in strengths]
        panel.fill_between(strengths, top, 0, color="#bbbbbb", alpha=0.5, lw=0, zorder=0,
                           label="what the networks cannot resolve")  # fmt: skip
    panel.set(xscale="log", yscale="log", xlabel=r"feature-learning strength $\gamma_0$")
    ticks = sorted(set(map(gamma0, pairs)))
    panel.set_xticks(ticks, [f"{g:g}" for g in ticks])
    panel.minorticks_off()
    panel.set_ylabel("relative rms error of $f$ against networks")
    widths = ", ".join(map(str, pairs[0].sizes))
    note = (
        f"{model_text(pairs[0])}\nnetworks of N = {widths}, extrapolated in 1/N; "
        "bars and grey: 2 standard errors"
    )
    describe(figure, "Where each theory holds", note, legend_of=[panel], columns=2)
    return figure


def _networks(pair: Pair) -> str:
    return f"networks, N = {pair.sizes[-1]}"


def _crossing_times(pair: Pair) -> np.ndarray:
    """Times to a tenth of the loss of the widest networks."""
    assert pair.experiment is not None
    values = time_to(0.1, pair.experiment)
    order = pair.experiment[pair.size].values.tolist()
    row = values[order.index(pair.sizes[-1])]
    return row[np.isfinite(row)]


def _ranges(axes: Axes, pairs: Sequence[Pair], get, index: int) -> None:
    """Mean and range over networks at each strength."""
    shown = [(gamma0(p), get(p)) for p in pairs if p.sizes]
    shown = [(g, values) for g, values in shown if len(values)]
    if not shown:
        return
    x = [g for g, _ in shown]
    mean = np.array([v.mean() for _, v in shown])
    bars = [mean - [v.min() for _, v in shown], np.array([v.max() for _, v in shown]) - mean]
    axes.errorbar(
        x, mean, yerr=bars, fmt="o", color=colour(index), markersize=4, capsize=2, mfc="none"
    )


def _silent(loss: np.ndarray, aligned: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The loss relative to its start, and the alignment."""
    return loss / loss[..., :1], aligned
