"""What a study needs to know of a figure before it can ask for it by name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orderparam.results.pair import Pair
from orderparam.support.later import Figure


@dataclass(frozen=True)
class FigureKind:
    """A figure that a study can ask for by name.

    Args:
        draw: Makes the figure.
        caption: What it shows, for the report.
        each_case: Drawn once for each case instead of once for all.
        needs: Variables of the theory without which it cannot be drawn.
        runs: Whether it cannot be drawn without an experiment.
    """

    draw: Callable[[Sequence[Pair]], Figure]
    caption: str
    each_case: bool = False
    needs: tuple[str, ...] = ()
    runs: bool = False
