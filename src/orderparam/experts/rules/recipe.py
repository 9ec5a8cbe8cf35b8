"""The choices of a plan that are not sizes: parameterization, optimiser, gates, depth, sharing."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from orderparam.errors import UnsupportedCombination
from orderparam.experts.rules.shape import REGIMES
from orderparam.support.arguments import one_of, positive, real, scalar, truth

PARAMETERIZATIONS = {
    "mup": "maximal update parameterization",
    "mssp": "maximally scale-stable parameterization: mup, and every atomic term of the experts' "
    "aggregate and of its adjoint stays finite",
    "mup_global_eps": "mup with one epsilon for all parameters",
    "jiang2026": "mup with router std 1/N in every regime, head 1/N and one epsilon, as the "
    "configuration that was published for comparison has it; depth, biases and balancing of the "
    "original could not be established",
    "sp": "standard: std 1/sqrt(fan-in), one learning rate",
    "sp_lr1n": "standard with a global learning rate proportional to 1/N",
    "ntp": "tangent-kernel parameterization in its form without multipliers",
}
UNSCALED = ("sp", "sp_lr1n", "ntp")
"""Parameterizations without factors of the forward pass."""
WITHOUT_DEPTH = (*UNSCALED, "jiang2026")
OPTIMIZERS = {"sgd": "sgd", "adam": "adam", "adamw": "adam", "lion": "sign", "signsgd": "sign"}
_NO_RULE = {
    "muon": "it orthogonalises the update, so that the update's size does not follow entries",
    "shampoo": "it preconditions with matrix roots, so that the update's size does not follow "
    "entries",
    "soap": "it runs Adam in Shampoo's basis, where entries of the gradient are mixed",
    "adafactor": "it scales updates by the size of the parameter, which the table assumes fixed",
    "lamb": "it scales updates by the norm of the parameter, which the table assumes fixed",
    "lars": "it scales updates by the norm of the parameter, which the table assumes fixed",
    "sophia": "its clipped second-order step follows neither the gradient nor its sign",
}
DECAY_MODES = ("independent", "coupled", "none_for_vectors")
GATES = ("unnormalised", "normalised")
SHARING = ("none", "groups", "full")


@dataclass(frozen=True)
class Recipe:
    """Everything that a plan needs besides rules and sizes.

    Args:
        parameterization: One of `PARAMETERIZATIONS`.
        optimizer: `sgd`, `adam`, `adamw`, `lion` or `signsgd`.
        regime: `dense`, `I`, `II`, `III` or `mixed`; inferred from the sizes if `None`.
        depth_exponent: a of the residual factor L^(-a), from 0 to 1; `None` for no depth rule.
        sharing: Experts that start from the same draw under MSSP: `none`, `groups` or `full`;
            `full` in regime III, `groups` in mixed ones and `none` elsewhere if `None`.
        gate: `unnormalised` (sigmoid, linear) or `normalised` (weights of an input sum to one).
        aggregation_exponent: alpha of the factor K^(-alpha); 1 or 0 by the gate if `None`.
        weight_decay_mode: `independent` keeps learning rate x decay fixed, `coupled` keeps the
            decay, `none_for_vectors` is `independent` without decay of gains and biases.
        zero_head: Start the head at zero.
        head_multiplier: Scale the logits by 1/n in the forward pass instead of the head's std.
        zero_router: Start the router at zero; by the parameterization if `None`.
        routing: `soft` (every expert) or `top_k`; by K < M if `None`.
        tie_break: Whether equal logits are broken at random, or by jitter or a balancing bias.
        qk_norm: Whether queries and keys are normalised, which keeps the scale of attention.
        expert_output_norm: Whether a norm acts on the output of an expert.
        auxiliary_loss: `none`, `fixed` (constant weight) or `scaled` (weight times the plan's
            multiplier, or fractions normalised to one).
        capacity_factor: Of token dropping; `None` without dropping.

    Raises:
        InvalidProblem: If a value is not allowed.
        UnsupportedCombination: For an optimiser or a depth without a rule.
    """

    parameterization: str = "mup"
    optimizer: str = "adamw"
    regime: str | None = None
    depth_exponent: float | int | None = None
    sharing: str | None = None
    gate: str = "unnormalised"
    aggregation_exponent: float | int | None = None
    weight_decay_mode: str = "independent"
    zero_head: bool = False
    head_multiplier: bool = False
    zero_router: bool | None = None
    routing: str | None = None
    tie_break: bool = False
    qk_norm: bool = False
    expert_output_norm: bool = False
    auxiliary_loss: str = "none"
    capacity_factor: float | int | None = None

    def __post_init__(self) -> None:
        """Refuse values that are not allowed."""
        self._keep("optimizer", lambda name, value: check_optimizer_name(value))
        for name, known in _WORDS.items():
            self._keep(name, one_of, known)
        for name in _FLAGS:
            self._keep(name, truth)
        self._keep("depth_exponent", _depth)
        self._keep("aggregation_exponent", real, -10.0, 10.0)
        self._keep("capacity_factor", positive)
        if self.depth_exponent is not None and self.parameterization in WITHOUT_DEPTH:
            raise UnsupportedCombination(
                f"The parameterization {self.parameterization!r} has no depth rule here; use mup "
                "or mssp, or leave `depth_exponent` out."
            )
        if self.sharing not in (None, "none") and self.parameterization != "mssp":
            raise UnsupportedCombination(
                f"Sharing {self.sharing!r} belongs to the parameterization 'mssp', but this one is "
                f"{self.parameterization!r}; use mssp, or leave `sharing` out."
            )

    @property
    def exponent(self) -> float:
        """alpha, the aggregation exponent that fits the gate."""
        fitting = 1.0 if self.gate == "unnormalised" else 0.0
        return fitting if self.aggregation_exponent is None else float(self.aggregation_exponent)

    @property
    def column(self) -> str:
        """Which column of the table applies: `sgd`, `adam` or `sign`."""
        return OPTIMIZERS[self.optimizer]

    def plain(self) -> dict[str, Any]:
        """The choices as plain values."""
        return asdict(self)

    def _keep(self, name: str, check: Callable[..., Any], *settings: Any) -> None:
        """Put what a check makes of a choice in its place; `None` where that is the default."""
        value = getattr(self, name)
        if value is not None or name not in _OPTIONAL:
            object.__setattr__(self, name, check(name, value, *settings))


_WORDS = {
    "parameterization": tuple(PARAMETERIZATIONS),
    "weight_decay_mode": DECAY_MODES,
    "gate": GATES,
    "auxiliary_loss": ("none", "fixed", "scaled"),
    "regime": REGIMES,
    "sharing": SHARING,
    "routing": ("soft", "top_k"),
}
_FLAGS = (
    "zero_head", "head_multiplier", "zero_router", "tie_break", "qk_norm", "expert_output_norm"
)  # fmt: skip
_OPTIONAL = (
    "regime", "depth_exponent", "sharing", "aggregation_exponent", "zero_router", "routing",
    "capacity_factor",
)  # fmt: skip


def _depth(name: str, value: Any) -> float:
    """An exponent in [0, 1]."""
    advice = "use 1/2 (branches add at random) or 1 (branches add coherently)"
    return real(name, value, 0.0, 1.0, advice=advice)


def check_optimizer_name(name: str) -> str:
    """Refuse optimisers without a rule, with the reason.

    Raises:
        UnsupportedCombination: For a known optimiser whose updates the table does not cover.
        InvalidProblem: For an unknown one.
    """
    found = scalar(name)
    if isinstance(found, str) and found.lower() in _NO_RULE:
        raise UnsupportedCombination(
            f"The optimiser {found!r} has no scaling rule: {_NO_RULE[found.lower()]}. Use one of "
            f"{', '.join(OPTIMIZERS)}, or keep it for parameters whose size does not change."
        )
    return one_of("optimizer", name, OPTIMIZERS)
