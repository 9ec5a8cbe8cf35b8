"""Sizes of a model, their ratios to a tuned base model, and the regime in which they grow."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from orderparam.errors import InvalidProblem
from orderparam.support.arguments import instance, integer, refuse
from orderparam.support.keywords import KnownKeywords, known_keywords

REGIMES = ("dense", "I", "II", "III", "mixed")
_TOLERANCE = 0.15
# Sizes that roles know by a shorter name than the argument that gives them.
_SHORT = {
    "attention": "attention_width", "kv": "kv_width", "ffn": "ffn_width", "expert": "expert_width"
}  # fmt: skip
# (growth of experts, growth of expert width), both relative to the growth of the residual width.
_CORNERS = {"I": (0.0, 1.0), "II": (1.0, 0.0), "III": (1.0, 1.0)}


@dataclass(frozen=True)
class Shape(KnownKeywords):
    """Sizes of one model of a ladder.

    Args:
        width: N, the residual width.
        experts: M, experts of each block; `None` for a dense model.
        active: K, experts that an input uses; all of them if `None`.
        expert_width: N_e, hidden width of one expert; needed with `experts`.
        ffn_width: F, hidden width of dense feed-forward layers.
        layers: L, number of residual blocks.
        head_dim: Width of one attention head; needed where a model has attention.
        attention_width: Heads times `head_dim`; `width` if `None`.
        kv_width: Key-value heads times `head_dim`; `attention_width` if `None`.
        widths: Further hidden widths by name, such as the rank of a low-rank projection.

    Raises:
        InvalidProblem: If a size is not a positive integer, `active` exceeds `experts`, a part is
            missing, or `widths` holds a size that has an argument of its own.

    Example:
        >>> Shape(width=256, experts=8, active=2, expert_width=64).sizes["kv"]
        256
    """

    width: int
    experts: int | None = None
    active: int | None = None
    expert_width: int | None = None
    ffn_width: int | None = None
    layers: int = 1
    head_dim: int | None = None
    attention_width: int | None = None
    kv_width: int | None = None
    widths: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse values that are not allowed."""
        for name in (f.name for f in fields(self) if f.name != "widths"):
            value = getattr(self, name)
            if value is not None or name in ("width", "layers"):
                size = integer(name, value, advice="give the number of neurons, experts or layers")
                object.__setattr__(self, name, size)
        named = isinstance(self.widths, Mapping) and all(isinstance(n, str) for n in self.widths)
        if not named:
            raise refuse("widths", self.widths, "a mapping from names to widths", "give a dict")
        widths = {name: integer("widths", size) for name, size in self.widths.items()}
        own = next((n for n in widths if n in _SHORT or n in self.__dataclass_fields__), None)
        if own is not None:
            raise InvalidProblem(
                f"Argument `widths` of a Shape names {own!r}, which has an argument of its own; "
                f"write {_SHORT.get(own, own)}={widths[own]}."
            )
        object.__setattr__(self, "widths", widths)
        if self.experts is None and (self.active is not None or self.expert_width is not None):
            raise InvalidProblem(
                "A Shape with `active` or `expert_width` needs `experts`; give it, or neither."
            )
        if self.experts is not None and self.expert_width is None:
            raise InvalidProblem("A Shape with `experts` needs `expert_width`; give it.")
        if self.experts is not None and self.active is not None and self.active > self.experts:
            raise InvalidProblem(
                f"A Shape has active = {self.active} of experts = {self.experts}, but an input "
                "cannot use more experts than there are; lower `active`."
            )

    @property
    def sizes(self) -> dict[str, int]:
        """Every size that is known, by the name that roles use."""
        attention = self.attention_width or self.width
        known = {
            "width": self.width,
            "attention": attention,
            "kv": self.kv_width or attention,
            "ffn": self.ffn_width,
            "head_dim": self.head_dim,
            "layers": self.layers,
            "experts": self.experts,
            "active": self.active or self.experts,
            "expert": self.expert_width,
            **self.widths,
        }
        return {name: size for name, size in known.items() if size is not None}

    def plain(self) -> dict[str, Any]:
        """The sizes as plain values, unset ones left out."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in values.items() if value not in (None, {})}


def checked_shape(name: str, value: Any) -> Shape:
    """The sizes of a model, refused where it is something else."""
    return instance(name, value, Shape, "give orderparam.experts.Shape(width=...)")


def ratios(base: Shape, target: Shape) -> dict[str, float]:
    """Target size divided by base size, for every size that both have.

    Raises:
        InvalidProblem: If only one of the shapes has a size.
    """
    before, after = base.sizes, target.sizes
    lonely = sorted(set(before) ^ set(after))
    if lonely:
        raise InvalidProblem(
            f"Base and target must name the same sizes, but only one has {', '.join(lonely)}; "
            "give it to both or to neither."
        )
    return {name: after[name] / before[name] for name in before}


@dataclass(frozen=True)
class Growth(KnownKeywords):
    """How a target grows out of its base.

    Args:
        regime: One of `REGIMES`, or `base` where nothing grows, so that none can be told.
        deviation: Largest distance of the growth exponents from those of the regime.
        experts: Growth exponent of M relative to that of N; NaN without growth of N.
        expert_width: The same for N_e.
    """

    regime: str
    deviation: float
    experts: float
    expert_width: float


@known_keywords
def infer_regime(base: Shape, target: Shape) -> Growth:
    """The scaling regime that leads from `base` to `target`.

    With N growing by n, experts by m and expert width by e, the exponents log m / log n and
    log e / log n are (0, 1) in regime I, (1, 0) in II and (1, 1) in III.

    Example:
        >>> base = Shape(width=64, experts=8, expert_width=16)
        >>> infer_regime(base, Shape(width=256, experts=32, expert_width=16)).regime
        'II'
    """
    grown = ratios(checked_shape("base", base), checked_shape("target", target))
    n, m, e = grown["width"], grown.get("experts", 1.0), grown.get("expert", 1.0)
    if base.experts is None:
        return Growth("dense", 0.0, 0.0, 0.0)
    if n == 1.0:
        regime = "base" if m == e == 1.0 else "mixed"
        return Growth(regime, 0.0, math.nan, math.nan)
    x, y = math.log(m) / math.log(n), math.log(e) / math.log(n)
    distance = {name: max(abs(x - a), abs(y - b)) for name, (a, b) in _CORNERS.items()}
    nearest = min(distance, key=distance.__getitem__)
    regime = nearest if distance[nearest] <= _TOLERANCE else "mixed"
    return Growth(regime, distance[nearest], x, y)
