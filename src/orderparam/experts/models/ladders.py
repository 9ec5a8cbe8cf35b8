"""Ladders of the reference models in numbers: their bases, how they grow, which roles they have.

Nothing here needs PyTorch.
"""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orderparam.experts.rules.checks import ScalingWarning
from orderparam.experts.rules.plan import ScalingPlan
from orderparam.experts.rules.role_table import role_table
from orderparam.experts.rules.shape import Shape
from orderparam.support.arguments import integer, one_of, refuse

_RULES = {"I": "I", "II": "II", "III": "III", "between": "mixed"}


@dataclass(frozen=True)
class Reference:
    """A reference model of growing size.

    Args:
        bases: The smallest model of each regime.
        roles: Roles of its parameters.
        optimizers: What it can be trained with.
    """

    bases: Mapping[str, Shape]
    roles: tuple[str, ...]
    optimizers: tuple[str, ...]

    def base(self, regime: str) -> Shape:
        """The smallest model of a regime.

        Raises:
            InvalidProblem: If the ladder has none.
        """
        return self.bases[one_of("regime", regime, self.bases)]


MLP = Reference(
    {
        "I": Shape(width=64, experts=4, expert_width=64),
        "II": Shape(width=64, experts=8, expert_width=4),
        "III": Shape(width=32, experts=4, expert_width=32),
        "between": Shape(width=64, experts=8, expert_width=16),
    },
    ("input", "router", "expert_in", "expert_out", "head"),
    ("sgd", "adamw"),
)
TRANSFORMER = Reference(
    {
        "I": Shape(width=64, experts=4, expert_width=64, layers=2, head_dim=16),
        "II": Shape(width=64, experts=8, expert_width=8, layers=2, head_dim=16),
        "III": Shape(width=32, experts=4, expert_width=32, layers=2, head_dim=16),
    },
    (
        "input", "norm_gain", "attn_qkv", "attn_proj", "router", "expert_in", "expert_out",
        "final_norm_gain", "head",
    ),
    ("adamw",),
)  # fmt: skip
REFERENCES = {"mlp-mixture": MLP, "transformer-mixture": TRANSFORMER}


def rule_regime(regime: str) -> str:
    """The regime of the scaling table that a ladder follows."""
    return _RULES[regime]


def grown(base: Shape, regime: str, size: int) -> Shape:
    """The base, `size` times as wide, in the way of a regime.

    In the regime `between` the experts' number grows like the width and their own width like its
    root, so that `size` must be a square.

    Raises:
        InvalidProblem: If the size is not allowed.
    """
    size = integer("size", size)
    if regime == "between" and math.isqrt(size) ** 2 != size:
        raise refuse("size", size, "the square of an integer in the regime 'between'")
    sizes = base.sizes
    many = 1 if regime == "I" else size
    wide = {"II": 1, "between": math.isqrt(size)}.get(regime, size)
    return Shape(
        width=base.width * size,
        experts=sizes["experts"] * many,
        active=sizes["active"] * many,
        expert_width=sizes["expert"] * wide,
        layers=base.layers,
        head_dim=base.head_dim,
    )


def ladder_plan(model: str, regime: str, size: int = 4, **choices: Any) -> ScalingPlan:
    """The plan of a size by role, which every parameter of that role follows.

    Args:
        model: One of `REFERENCES`.
        regime: One of its regimes.
        size: Scale factor.
        **choices: Arguments of `Recipe`.
    """
    base = REFERENCES[model].base(regime)
    with warnings.catch_warnings():  # these ladders are small on purpose
        warnings.simplefilter("ignore", ScalingWarning)
        return role_table(base, grown(base, regime, size), regime=rule_regime(regime), **choices)
