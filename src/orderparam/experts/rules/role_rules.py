"""Which role each parameter plays, found by patterns on its name."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from orderparam.errors import InvalidProblem
from orderparam.experts.rules.rows import ROWS
from orderparam.support.arguments import (
    one_of,
    optional,
    positive,
    refuse,
    sequence,
    several,
    text,
    truth,
)
from orderparam.support.keywords import KnownKeywords

WRAPPERS = ("module.", "_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
_EXPERT = "{expert}"


@dataclass(frozen=True)
class Role(KnownKeywords):
    """A role, and what the name of the role alone does not say.

    Args:
        name: A role of the table, such as `expert_in`.
        axes: Meaning of the parameter's axes, such as `e i o`; PyTorch's own if `None`.
        hidden: Name of the size behind the hidden width, such as `shared_expert`; the role's own
            if `None`.
        in_block: Whether it sits on a residual branch; the role's own if `None`.
        optional: Whether a rule with this role may match nothing.
        initial: How it starts: `normal`, `one` or `zero`; as the role does if `None`, but the
            second matrix of a LoRA pair (`lora_B`) at zero.
        std_factor: What the base model's code multiplies the std of this parameter with, such as
            1 / sqrt(2 L) of GPT-2 on residual branches.
        own_factor: The same of the target's code; `std_factor` if `None`.

    Raises:
        InvalidProblem: If the role is unknown, or has no hidden width that `hidden` could name.
    """

    name: str
    axes: str | None = None
    hidden: str | None = None
    in_block: bool | None = None
    optional: bool = False
    initial: str | None = None
    std_factor: float | int = 1.0
    own_factor: float | int | None = None

    def __post_init__(self) -> None:
        """Refuse values that are not allowed."""
        given = {
            "name": one_of("name", self.name, ROWS),
            "axes": optional(text, "axes", self.axes),
            "hidden": optional(text, "hidden", self.hidden),
            "in_block": optional(truth, "in_block", self.in_block),
            "optional": truth("optional", self.optional),
            "initial": optional(one_of, "initial", self.initial, ("normal", "one", "zero")),
            "std_factor": positive("std_factor", self.std_factor),
            "own_factor": optional(positive, "own_factor", self.own_factor),
        }
        for name, value in given.items():
            object.__setattr__(self, name, value)
        if self.hidden is not None and not ROWS[self.name].hidden:
            having = ", ".join(name for name, row in ROWS.items() if row.hidden)
            raise InvalidProblem(
                f"A Role {self.name!r} has hidden={self.hidden!r}, but scales with no hidden "
                f"width; leave it out, or use one of the roles {having}."
            )


@dataclass(frozen=True)
class Match:
    """The role of one parameter.

    Args:
        role: The role with its details.
        expert: Number of the expert that the name holds, `None` without one.
        key: The name with the expert's number taken out; experts have it in common.
    """

    role: Role
    expert: int | None
    key: str


class RoleRules(KnownKeywords):
    """Patterns and roles, in order: the first pattern that fits a name decides.

    In a pattern `*` stands for any text, and `{expert}` for the number of an expert that is a
    module of its own.

    Args:
        rules: Pairs of a pattern and a role (or the name of one).

    Raises:
        InvalidProblem: If there is no rule or a role is unknown.

    Example:
        >>> rules = RoleRules([("*.router", "router"), ("*.experts.{expert}.up", "expert_in")])
        >>> rules.match("block.0.experts.5.up").expert
        5
    """

    def __init__(self, rules: Iterable[tuple[str, Role | str]]) -> None:
        pairs = [
            several(pair) for pair in sequence("rules", rules, "pairs of a pattern and a role")
        ]
        if not all(pair is not None and len(pair) == 2 for pair in pairs):
            allowed = "pairs of a pattern and a role"
            raise refuse("rules", rules, allowed, "write [('*.router.weight', 'router')]")
        self.rules: tuple[tuple[str, Role], ...] = tuple(
            (text("rules", pattern), role if isinstance(role, Role) else Role(role))
            for pattern, role in (pair for pair in pairs if pair)
        )

    @cached_property
    def _compiled(self) -> list[tuple[re.Pattern[str], Role]]:
        return [(_compile(pattern), role) for pattern, role in self.rules]

    def match(self, name: str) -> Match | None:
        """The role of a parameter of that (normalised) name, `None` if no rule fits."""
        found = self._first(name)
        return None if found is None else found[1]

    def match_all(self, names: Sequence[str]) -> dict[str, Match]:
        """The roles of all parameters of a model.

        Raises:
            InvalidProblem: If a parameter has no rule, or a rule that is not optional has no
                parameter.
        """
        found = {name: self._first(name) for name in names}
        missing = [name for name, match in found.items() if match is None]
        if missing:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            raise InvalidProblem(
                f"No rule gives a role to {', '.join(map(repr, missing[:3]))}{more}; add a rule "
                "for it, with the role 'frozen' if it is neither trained nor scaled."
            )
        used = {match[0] for match in found.values() if match is not None}
        idle = [
            pattern
            for index, (pattern, role) in enumerate(self.rules)
            if index not in used and not role.optional
        ]
        if idle:
            raise InvalidProblem(
                f"The rule {idle[0]!r} decides for no parameter: its pattern fits none, or rules "
                f"before it take them all; parameters are {', '.join(names[:4])}, ... Correct the "
                "pattern, or mark the role optional."
            )
        return {name: match[1] for name, match in found.items() if match is not None}

    def extended(self, before: Iterable[tuple[str, Role | str]]) -> "RoleRules":
        """The same rules with others in front of them."""
        return RoleRules([*before, *self.rules])

    def _first(self, name: str) -> tuple[int, Match] | None:
        """Index of the first rule that fits, and what it says."""
        for index, (pattern, role) in enumerate(self._compiled):
            fit = pattern.fullmatch(name)
            if fit is None:
                continue
            if "expert" not in fit.groupdict():
                return index, Match(role, None, name)
            start, stop = fit.span("expert")
            return index, Match(role, int(fit["expert"]), name[:start] + _EXPERT + name[stop:])
        return None


def normalised(name: str) -> str:
    """A parameter's name without what wrappers put in front of or inside it.

    Example:
        >>> normalised("module._orig_mod.blocks.0.weight")
        'blocks.0.weight'
    """
    for wrapper in WRAPPERS:
        name = re.sub(rf"(^|\.){re.escape(wrapper)}", r"\1", name)
    return name


def all_normalised(names: Iterable[str]) -> Mapping[str, str]:
    """Normalised names by given name; two of the same are an error.

    Raises:
        InvalidProblem: If two parameters get the same name.
    """
    known: dict[str, str] = {}
    for name in names:
        known[name] = normalised(name)
    if len(set(known.values())) < len(known):
        raise InvalidProblem(
            "Two parameters have the same name once the prefixes of wrappers are removed; rename "
            f"a module so that none is called {' or '.join(w.rstrip('.') for w in WRAPPERS)}."
        )
    return known


def _compile(pattern: str) -> re.Pattern[str]:
    """The regular expression of a pattern."""
    parts = re.split(r"(\*|\{expert\})", pattern)
    table = {"*": ".*", _EXPERT: r"(?P<expert>\d+)"}
    if parts.count(_EXPERT) > 1:
        raise InvalidProblem(f"The pattern {pattern!r} has more than one {{expert}}; keep one.")
    return re.compile("".join(table.get(part, re.escape(part)) for part in parts))
