"""Traps of scaling mixtures of experts: what goes wrong, and what avoids it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import equinox as eqx

from orderparam.contract import Problem
from orderparam.support.arguments import one_of, truth
from orderparam.support.extras import needed


@dataclass(frozen=True)
class Rule:
    """What one trap is and what it does.

    Args:
        measured: The number that shows it, in words.
        symbol: The same as a symbol.
        trapped: The number in the trap.
        avoided: The number without it.
        story: What happens in the trap.
        remedy: What avoids it.
    """

    measured: str
    symbol: str
    trapped: float
    avoided: float
    story: str
    remedy: str


TRAPS: dict[str, Rule] = {
    "identical-experts": Rule(
        "share of experts that differ from the first one after training", r"p_{differ}", 0.0, 1.0,
        "Experts that start from one draw stay identical for ever if the router starts at zero.",
        "With a random router they separate.",
    ),
    "tied-logits": Rule(
        "experts that some input selects, over experts of one input", "M_{used} / K", 1.0, 4.0,
        "Logits of a router that starts at zero are all equal, so that every input selects the "
        "same K experts.",
        "A little noise on the logits breaks the ties.",
    ),
    "schedule-floor": Rule(
        "share of the planned ratio of learning rates that is left (log scale)",
        r"\log r / \log r_{plan}", 0.0, 1.0,
        "A schedule that ends at an absolute floor gives every group the same learning rate.",
        "A schedule of factors keeps their ratios.",
    ),
    "balancing-loss": Rule(
        "exponent, in the number of experts, of the balancing loss's gradient over the task's at "
        "half the initial loss", "c",
        1.0, 0.0,
        "With a fixed weight the gradient of the balancing loss outgrows that of the task.",
        "Times the plan's multiplier it does not.",
    ),
}  # fmt: skip


class Trap(Problem):
    """A trap of mixture-of-experts training on the reference model in regime III, or its remedy.

    Args:
        trap: `identical-experts`, `tied-logits`, `schedule-floor` or `balancing-loss`.
        avoided: Whether the remedy is applied.

    Raises:
        InvalidProblem: If there is no such trap.

    Source: Vankadara et al. (2026); docs/theory/experts.md, Traps, What is refused.

    Example:
        >>> Trap("identical-experts").expected()
        0.0
    """

    family: ClassVar[str] = "experts"

    trap: str = eqx.field(static=True)
    avoided: bool = eqx.field(static=True)

    def __init__(self, trap: str, avoided: bool = False) -> None:
        self.trap = one_of("trap", trap, tuple(TRAPS))
        self.avoided = truth("avoided", avoided)

    @property
    def measured(self) -> tuple[str, str]:
        """What is measured, in words and as a symbol."""
        rule = TRAPS[self.trap]
        return rule.measured, rule.symbol

    @property
    def story(self) -> str:
        """What happens."""
        rule = TRAPS[self.trap]
        return rule.remedy if self.avoided else rule.story

    def expected(self) -> float:
        """The number that theory gives."""
        rule = TRAPS[self.trap]
        return rule.avoided if self.avoided else rule.trapped

    def require_packages(self) -> None:
        """Training needs PyTorch."""
        needed("torch", "torch")

    def config(self) -> Mapping[str, Any]:
        """The problem as plain JSON values."""
        return {"kind": "Trap", "trap": self.trap, "avoided": self.avoided}
