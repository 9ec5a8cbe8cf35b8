"""What a plan holds: for every parameter, by name, its multipliers."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from orderparam.errors import InvalidProblem
from orderparam.experts.rules.forward import ForwardMultipliers
from orderparam.experts.rules.recipe import Recipe
from orderparam.experts.rules.shape import Shape
from orderparam.support.arguments import nearest

TABLE_VERSION = 1


@dataclass(frozen=True)
class Entry:
    """What the plan says about one parameter.

    Args:
        name: Normalised name.
        key: The name without the number of an expert; experts have it in common.
        role: Role of the table.
        shape: Shape of the target's parameter.
        axes: Meaning of the axes.
        fan_in: Inputs that one output sums over, of one expert.
        fan_out: Outputs that one input reaches, of one expert.
        experts: Experts along an axis, or that the name numbers; `None` for other parameters.
        expert: Number of the expert in the name, `None` without one.
        groups: Different draws among the experts; `None` for other parameters.
        base_fan_in: `fan_in` of the base model.
        initial: `normal`, `one` or `zero`.
        std, learning_rate, epsilon, weight_decay: Multipliers of the base model's values.
        gradient: Growth of a typical entry of the gradient.
        ratios: The ratios behind them: n, k, e, l, and h of the role's hidden width.
        in_block: Whether the depth rule applies.
        std_factor: What the base model's own code multiplies the std with.
        own_factor: The same of the target's code.
    """

    name: str
    key: str
    role: str
    shape: tuple[int, ...]
    axes: str
    fan_in: int
    fan_out: int
    experts: int | None
    expert: int | None
    groups: int | None
    base_fan_in: float
    initial: str
    std: float
    learning_rate: float
    epsilon: float
    weight_decay: float
    gradient: float
    ratios: Mapping[str, float]
    in_block: bool
    std_factor: float = 1.0
    own_factor: float = 1.0

    @property
    def special(self) -> str:
        """What is not a multiplier: a zero start, or draws that experts share."""
        if self.initial == "zero":
            return "starts at zero"
        if self.groups is not None and self.experts is not None and self.groups < self.experts:
            return f"{self.groups} draws for {self.experts} experts"
        return "starts at one" if self.initial == "one" else ""


@dataclass(frozen=True)
class PlanContents:
    """Multipliers for every parameter of a target model, and for its forward pass.

    A plan holds names and numbers only. It is made once, kept beside the checkpoint, and applied to
    the base model's tuned values; nothing is attached to a model.

    Args:
        base: Sizes of the tuned model.
        target: Sizes of the model to train.
        recipe: The choices that are not sizes.
        regime: The regime given or inferred.
        entries: One for each parameter.
        forward_multipliers: Factors of the forward pass.
        warnings: What may not scale as the theory says.
        notes: What to know: rounding, special rules that hold at the base size too.
        table_version: Version of the scaling table.
    """

    base: Shape
    target: Shape
    recipe: Recipe
    regime: str
    entries: tuple[Entry, ...]
    forward_multipliers: ForwardMultipliers
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    table_version: int = field(default=TABLE_VERSION)

    def __getitem__(self, name: str) -> Entry:
        """The entry of a parameter, by its normalised name."""
        found = self.by_name.get(name)
        if found is None:
            raise InvalidProblem(
                f"The plan has no parameter {name!r}; it has {', '.join(list(self.by_name)[:5])}, "
                "... Make the plan for the model that is trained."
                f"{nearest(name, self.by_name)}"
            )
        return found

    @property
    def by_name(self) -> dict[str, Entry]:
        """The entries by name."""
        return {entry.name: entry for entry in self.entries}

    @property
    def identity(self) -> bool:
        """Whether nothing changes: all multipliers are 1 and no special rule applies."""
        numbers = [
            x for e in self.entries for x in (e.std, e.learning_rate, e.epsilon, e.weight_decay)
        ]
        special = any(entry.special.endswith("experts") for entry in self.entries) or any(
            e.initial == "zero" and e.role in ("router", "head") for e in self.entries
        )
        return all(x == 1.0 for x in numbers) and not special

    def fingerprint(self) -> str:
        """A hash of everything in the plan, to be kept with a checkpoint."""
        return hashlib.sha256(self.to_json(indent=None).encode()).hexdigest()[:16]

    def plain(self) -> dict[str, Any]:
        """The plan as plain values."""
        return {
            "table_version": self.table_version,
            "base": self.base.plain(),
            "target": self.target.plain(),
            "recipe": self.recipe.plain(),
            "regime": self.regime,
            "forward_multipliers": asdict(self.forward_multipliers),
            "warnings": list(self.warnings),
            "notes": list(self.notes),
            "entries": [asdict(entry) for entry in self.entries],
        }

    def to_json(self, indent: int | None = 1) -> str:
        """The plan as JSON."""
        return json.dumps(self.plain(), indent=indent, sort_keys=True, allow_nan=False)
