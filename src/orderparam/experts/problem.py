"""The problems of scaling: how everything in a model grows with its size, and where it learns best.

They hold names and numbers; training them needs PyTorch.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import equinox as eqx

from orderparam.contract import Problem, SavePlan
from orderparam.errors import UnsupportedCombination
from orderparam.experts.models.ladders import REFERENCES, Reference, ladder_plan
from orderparam.experts.rules.plan import ScalingPlan
from orderparam.experts.rules.recipe import PARAMETERIZATIONS, SHARING, check_optimizer_name
from orderparam.support.arguments import integer, one_of, optional, positive, reals, refuse, truth
from orderparam.support.extras import needed

STEPS = (0, 1, 5, 20)
"""Numbers of updates after which a ladder is measured where the save plan names none."""


class ScalingProblem(Problem):
    """What the problems of this family have in common: a ladder of one reference model."""

    family: ClassVar[str] = "experts"

    model: str = eqx.field(static=True)
    regime: str = eqx.field(static=True)
    parameterization: str = eqx.field(static=True)
    optimizer: str = eqx.field(static=True)
    sharing: str | None = eqx.field(static=True)

    def __init__(
        self, model: str, regime: str, parameterization: str, optimizer: str, sharing: str | None
    ) -> None:
        self.model = one_of("model", model, tuple(REFERENCES))
        self.regime = one_of("regime", regime, self.reference.bases)
        self.parameterization = one_of("parameterization", parameterization, PARAMETERIZATIONS)
        self.optimizer = check_optimizer_name(optimizer)
        self.sharing = optional(one_of, "sharing", sharing, SHARING)
        allowed = self.reference.optimizers
        if self.optimizer not in allowed:
            raise UnsupportedCombination(
                f"The model {self.model} trains with {', '.join(allowed)}, but `optimizer` is "
                f"{self.optimizer!r}; choose one of them."
            )
        self.plan()  # refuses what no plan allows

    @property
    def reference(self) -> Reference:
        """Bases and roles of the model."""
        return REFERENCES[self.model]

    def plan(self, size: int = 4) -> ScalingPlan:
        """The plan of one size by role."""
        choices = {"parameterization": self.parameterization, "optimizer": self.optimizer}
        return ladder_plan(self.model, self.regime, size, sharing=self.sharing, **choices)

    def settings(self) -> dict[str, Any]:
        """What the builder of the models takes beside size, seed and parameterization."""
        chosen: dict[str, Any] = {"regime": self.regime}
        if self.sharing is not None:
            chosen["sharing"] = self.sharing
        return chosen | ({"optimizer": self.optimizer} if self.model == "mlp-mixture" else {})

    def require_packages(self) -> None:
        """Training needs PyTorch."""
        needed("torch", "torch")

    def config(self) -> Mapping[str, Any]:
        """The problem as plain JSON values."""
        names = ("model", "regime", "parameterization", "optimizer", "sharing")
        return {"kind": type(self).__name__, **{name: getattr(self, name) for name in names}}


class Ladder(ScalingProblem):
    """How activations, updates, gradients and the terms of the experts' sum grow with size.

    Models of growing size are trained for some updates on the same data; the exponent of a quantity
    is the slope of log2 of its root mean square against log2 of the scale factor.

    Args:
        model: `mlp-mixture` (handwritten digits) or `transformer-mixture` (a Markov chain).
        regime: `I`, `II`, `III`, or `between` (expert width as the root of the width).
        parameterization: As in `Recipe`.
        optimizer: `sgd` or `adamw`.
        sharing: Experts that start from one draw, as in `Recipe`.
        factor: Multiplies the natural learning rates; the model's own choice if `None`.
        steps: Updates from 0 to `steps - 1` may be measured.

    Raises:
        InvalidProblem, UnsupportedCombination: If a value or a combination is not allowed.

    Source: Vankadara et al. (2026); docs/theory/experts.md, Counting, Coordinate check, Measured
    exponents.

    Example:
        >>> Ladder(regime="II", parameterization="mssp").plan()["expert_out"].std
        2.0
    """

    factor: float | None = eqx.field(static=True)
    steps: int = eqx.field(static=True)

    def __init__(
        self,
        model: str = "mlp-mixture",
        regime: str = "II",
        parameterization: str = "mssp",
        optimizer: str = "sgd",
        sharing: str | None = None,
        factor: float | None = None,
        steps: int = 21,
    ) -> None:
        super().__init__(model, regime, parameterization, optimizer, sharing)
        self.factor = None if factor is None else positive("factor", factor)
        self.steps = integer("steps", steps)

    def grid(self, save: SavePlan) -> tuple[int, ...]:
        """The numbers of updates after which everything is measured."""
        if save.steps is None:
            return tuple(step for step in STEPS if step < self.steps)
        return tuple(int(step) for step in save.grid(self.steps))

    def settings(self) -> dict[str, Any]:
        """What the builder takes."""
        chosen = super().settings()
        return chosen if self.factor is None else {**chosen, "factor": self.factor}

    def config(self) -> Mapping[str, Any]:
        """The problem as plain JSON values."""
        return {**super().config(), "factor": self.factor, "steps": self.steps}


class Transfer(ScalingProblem):
    """Whether the best learning rate of a small model is the best one of a large model.

    Every size is trained at every learning rate, and the held-out loss says which is best.

    Args:
        model: As for `Ladder`.
        regime: As for `Ladder`.
        parameterization: As in `Recipe`.
        optimizer: `sgd` or `adamw`.
        sharing: As in `Recipe`.
        factors: Factors of the base's learning rates, positive and increasing, three or more.
        updates: Of every run.
        zero_head: Whether the head starts at zero (`mlp-mixture` alone).

    Raises:
        InvalidProblem, UnsupportedCombination: If a value or a combination is not allowed.

    Source: Vankadara et al. (2026); docs/theory/experts.md, Learning-rate transfer.
    """

    factors: tuple[float, ...] = eqx.field(static=True)
    updates: int = eqx.field(static=True)
    zero_head: bool = eqx.field(static=True)

    def __init__(
        self,
        model: str = "mlp-mixture",
        regime: str = "II",
        parameterization: str = "mssp",
        optimizer: str = "sgd",
        sharing: str | None = None,
        factors: Sequence[float] = (0.7, 1.0, 1.4, 2.0, 2.8),
        updates: int = 60,
        zero_head: bool = True,
    ) -> None:
        super().__init__(model, regime, parameterization, optimizer, sharing)
        self.factors = tuple(reals("factors", factors, positive))
        if len(self.factors) < 3 or list(self.factors) != sorted(set(self.factors)):
            raise refuse("factors", factors, "three or more increasing numbers", "give more")
        self.updates = integer("updates", updates)
        self.zero_head = truth("zero_head", zero_head)

    def settings(self) -> dict[str, Any]:
        """What the builder takes."""
        chosen = super().settings()
        return {**chosen, "zero_head": True} if self._starts_at_zero() else chosen

    def config(self) -> Mapping[str, Any]:
        """The problem as plain JSON values."""
        own = {"factors": list(self.factors), "updates": self.updates, "zero_head": self.zero_head}
        return {**super().config(), **own}

    def _starts_at_zero(self) -> bool:
        return self.zero_head and self.model == "mlp-mixture"
