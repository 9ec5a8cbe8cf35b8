"""Learning-rate transfer: does the best learning rate of a small model stay the best one?"""

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from orderparam.experts.evidence.figures_checks import draw_sweep
from orderparam.experts.experiment.sweep import checked_grid, sweep_losses
from orderparam.experts.models.setup import Builder
from orderparam.experts.theory.optimum import Optimum, find_optimum
from orderparam.plots import export
from orderparam.plots.style import describe, panels, styled
from orderparam.results.files import atomic_write
from orderparam.support.keywords import known_keywords
from orderparam.support.later import Figure


@dataclass(frozen=True)
class LearningRateTransfer:
    """Losses on a grid of sizes and learning rates, and what they say.

    Args:
        sizes: Scale factors.
        factors: Factors of the base's learning rates.
        loss: Held-out loss by size, factor and seed; infinite where a run diverged, that is ended
            above ten times the loss of its start.
        optima: The best factor of every size.
        shift: Growth of log2(best factor) when the size doubles.
        shift_se: Its standard error; NaN with one seed.
        stays: Whether the optimum moves by at most one step of the grid over the whole ladder.
        improves: Whether the lowest loss falls with every size.
        improves_fixed: The same at the best factor of the smallest size.
        settings: What was trained.
    """

    sizes: tuple[int, ...]
    factors: tuple[float, ...]
    loss: Float[np.ndarray, "size factor seed"]
    optima: tuple[Optimum, ...]
    shift: float
    shift_se: float
    stays: bool
    improves: bool
    improves_fixed: bool
    settings: dict[str, Any]

    @property
    def passed(self) -> bool:
        """Whether the optimum stays and larger models are better at it."""
        return self.stays and self.improves

    @property
    def spread(self) -> float:
        """Octaves between the smallest and the largest of the best rates."""
        return float(np.ptp(np.log2([optimum.factor for optimum in self.optima])))

    @property
    def sentence(self) -> str:
        """What the sweep says of the optimum."""
        ends = [str(optimum.size) for optimum in self.optima if optimum.edge]
        if ends:
            return (
                f"the optimum of size{'s' * (len(ends) > 1)} {', '.join(ends)} is at an end of the "
                "grid, so that it may lie outside; give more factors"
            )
        if self.stays:
            return f"the optimum stays (within {self.spread:.2f} octaves)"
        return (
            f"the optimum MOVES by {self.spread:.2f} octaves over the ladder "
            f"({self.shift:+.2f} per doubling)"
        )

    def plain(self) -> dict[str, Any]:
        """The result as plain values; diverged runs are `None`."""
        losses = [
            [[v if math.isfinite(v) else None for v in seeds] for seeds in row]
            for row in self.loss.tolist()
        ]
        optima = [
            {k: None if v != v else v for k, v in asdict(optimum).items()}
            for optimum in self.optima
        ]
        names = (
            "shift",
            "spread",
            "sentence",
            "stays",
            "improves",
            "improves_fixed",
            "passed",
            "settings",
        )
        rest = {name: getattr(self, name) for name in names}
        error = None if math.isnan(self.shift_se) else self.shift_se
        return {
            "sizes": list(self.sizes), "factors": list(self.factors), "loss": losses,
            "optima": optima, "shift_se": error, **rest,
        }  # fmt: skip

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write `transfer.json` and `transfer.png`."""
        place = Path(folder)
        text = json.dumps(self.plain(), indent=1)
        atomic_write(place / "transfer.json", text)
        data = export(transfer_figure(self), "png")
        atomic_write(place / "transfer.png", data)
        return place


@known_keywords
def learning_rate_transfer(
    builder: Builder,
    *,
    sizes: Sequence[int] = (1, 2, 4),
    factors: Sequence[float] = (0.5, 1.0, 2.0),
    steps: int = 80,
    seeds: int | Sequence[int] = 2,
    parameterization: str = "mssp",
    progress: bool = True,
    **settings: Any,
) -> LearningRateTransfer:
    """Train every size at every learning rate and compare where the held-out loss is lowest.

    Args:
        builder: Called as `builder(size, seed, parameterization, factor=factor, **settings)`.
        sizes: Scale factors, increasing, two or more.
        factors: Factors of the base's learning rates, positive and increasing, three or more.
        steps: Updates of every run.
        seeds: Runs of every point: their number, or the seed of each.
        parameterization: Passed to the builder.
        progress: Show a progress bar where the error stream is a terminal.
        **settings: Passed to the builder.

    Raises:
        InvalidProblem: If an argument is not allowed.
        MissingExtra: Without PyTorch.

    Cost:
        `len(sizes) x len(factors) x seeds` trainings.

    Source: Vankadara et al. (2026); docs/theory/experts.md, Learning-rate transfer.
    """
    loss = sweep_losses(
        builder, sizes, factors, steps, seeds, parameterization, progress, **settings
    )
    described = {"parameterization": parameterization, "steps": int(steps), **settings}
    return judged(*checked_grid(sizes, factors), loss, described)


def judged(
    sizes: tuple[int, ...],
    factors: tuple[float, ...],
    loss: Float[np.ndarray, "size factor seed"],
    settings: dict[str, Any],
) -> LearningRateTransfer:
    """Find the optima of a grid of losses and judge how they move.

    Args:
        sizes: Scale factors.
        factors: Factors of the learning rate.
        loss: Losses; infinite where a run diverged.
        settings: What was trained, for the record.
    """
    optima = tuple(find_optimum(s, factors, loss[i]) for i, s in enumerate(sizes))
    x = np.log2(np.array(sizes, dtype=float))
    centred = x - x.mean()
    logs = np.log2([optimum.factor for optimum in optima])
    errors = np.array([optimum.log2_se for optimum in optima])
    weights = centred / (centred @ centred)
    grid = float(np.diff(np.log2(factors)).max())
    best = loss.mean(axis=2).min(axis=1)
    fixed = loss.mean(axis=2)[:, int(loss[0].mean(axis=1).argmin())]
    return LearningRateTransfer(
        sizes=sizes,
        factors=factors,
        loss=loss,
        optima=optima,
        shift=float(weights @ logs),
        shift_se=float(np.sqrt(np.sum((weights * errors) ** 2))),
        stays=bool(np.ptp(logs) <= grid * (1 + 1e-9)) and not any(o.edge for o in optima),
        improves=bool(np.all(best[1:] < best[:-1])),
        improves_fixed=bool(np.isfinite(fixed).all() and np.all(fixed[1:] < fixed[:-1])),
        settings=settings,
    )


@styled
def transfer_figure(result: LearningRateTransfer) -> Figure:
    """Held-out loss against learning rate, one curve for each size, with the optimum marked."""
    figure, grid = panels(1, 1, size=(4.6, 3.2))
    axes = grid[0, 0]
    draw_sweep(axes, result.factors, result.loss, result.optima)
    axes.set_xlabel("factor of the base's learning rates")
    axes.set_ylabel(f"held-out loss after {result.settings['steps']} updates")
    describe(
        figure, f"Learning-rate transfer: {result.settings['parameterization']}",
        f"{result.sentence}.\nMeans and range over {result.loss.shape[2]} runs; stars: fitted "
        "optimum. Diverged runs are left out.",
        legend_of=[axes], columns=4,
    )  # fmt: skip
    return figure
