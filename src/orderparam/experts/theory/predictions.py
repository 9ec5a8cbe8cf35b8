r"""Exponents by counting: random terms add as a root, aligned ones in proportion.

Initial weights are random. With G different experts, sigma the std of `expert_out` times the root
of its fan-in, and every size a power of the width,

    sum over experts       sigma / sqrt(G)
    signal at one expert   sigma sqrt(N_e / N)
    sum of its adjoint     signal * sqrt(N / (N_e G))

A parameterization in which none of them shrinks or grows, nor the router's logits, and whose
updates follow the gradient, is scale-stable: there everything else keeps its size too. Elsewhere
only what follows from the initial weights is predicted, and what the step of Adam alone decides.

Source: Vankadara et al. (2026); docs/theory/experts.md, Where muP loses terms, Exponents by
counting.
"""

import math
from collections.abc import Mapping, Sequence

from orderparam.experts.rules.plan import Entry, ScalingPlan
from orderparam.experts.theory.exponents import expectation

_STANDARD = ("sp", "sp_lr1n", "ntp")
_TERMS = tuple(f"{sum_}/{term}" for sum_ in ("agg", "back") for term in ("base", "prop", "eff"))
_CROSS = ("agg/cross", "back/cross")
_ACTIVATIONS = ("act/psi", "act/u", "act/o", "act/aggregate", "back/signal")
_SINGLE = ("router", "expert_in", "expert_out", "head")  # inputs of the input layer do not change
_KEPT = ("agg/base", "back/signal", "back/base", "act/psi")
_EXACT = 1e-9


def predictions(
    plan: ScalingPlan, roles: Sequence[str], steps: Sequence[int]
) -> dict[tuple[str, int], float]:
    """The exponent of every observable for which counting gives one.

    Args:
        plan: The plan of any size above the base, by role.
        roles: Roles of the model.
        steps: Numbers of updates.

    Returns:
        Exponents by observable and step.
    """
    start = initial_exponents(plan)
    found: dict[tuple[str, int], float] = {}
    for step in steps:
        later = start if step == 0 else _trained(plan, roles, step, start)
        found |= {(name, step): value for name, value in later.items()}
    return found


def initial_exponents(plan: ScalingPlan) -> dict[str, float]:
    """Exponents of what initial weights give before any update.

    Logits of a router that starts at zero are exactly zero and have none.
    """
    n, e = _power(plan, "n"), _power(plan, "e")
    spread = _of(plan, "expert_out", "std") + e / 2
    draws = _log(plan, _draws(plan))
    total = spread - draws / 2
    signal = spread + (e + n) / 2 + _of(plan, "head", "std")
    found = {
        "act/u": _of(plan, "expert_in", "std") + n / 2,
        "act/o": spread,
        "act/aggregate": total,
        "act/output": total + _of(plan, "head", "std") + n / 2,
        "agg/base": total,
        "back/signal": signal,
        "back/base": signal + _of(plan, "expert_in", "std") + n - (e + draws) / 2,
    }
    if _entry(plan, "router").initial != "zero":
        found["act/psi"] = _of(plan, "router", "std") + n / 2
    return {name: 0.0 if abs(value) < _EXACT else value for name, value in found.items()}


def stable(plan: ScalingPlan) -> bool:
    """Whether every term of the experts' sum, of its adjoint, and the logits keep their size."""
    start = initial_exponents(plan)
    kept = all(start.get(name, 0.0) == 0.0 for name in _KEPT)
    return kept and plan.recipe.parameterization not in _STANDARD


def _trained(
    plan: ScalingPlan, roles: Sequence[str], step: int, start: Mapping[str, float]
) -> dict[str, float]:
    """Exponents after some updates."""
    if not stable(plan):
        found = {name: start[name] for name in ("agg/base", "back/base")}
        return found | _adam_updates(plan)
    still = _entry(plan, "router").initial == "zero"  # prop/router is zero as long as Q_0 is
    updates = [f"{kind}/{r}" for kind in ("eff", "prop") for r in _SINGLE]
    updates = [n for n in updates if not (still and n == "prop/router")]
    gradients = [f"grad/{role}" for role in roles]
    names = (*_TERMS, *_CROSS, *_ACTIVATIONS, "eff/input", *updates, *gradients)
    expected = {name: expectation(name, step, plan) for name in names}
    return {n: e.predicted for n, e in expected.items() if e.judged and math.isfinite(e.predicted)}


def _adam_updates(plan: ScalingPlan) -> dict[str, float]:
    """Effective updates of standard parameterizations with Adam, whose entries are the rate.

    They act on aligned activations, so that they grow with rate times fan-in.
    """
    if plan.recipe.parameterization not in _STANDARD or plan.recipe.column != "adam":
        return {}
    rate = {role: _of(plan, role, "learning_rate") for role in ("router", "expert_in", "head")}
    return {f"eff/{role}": value + _power(plan, "n") for role, value in rate.items()}


def _draws(plan: ScalingPlan) -> float:
    """Growth of the number of experts that are summed and differ."""
    entry = _entry(plan, "expert_out")
    experts, base = plan.target.sizes["experts"], plan.base.sizes["experts"]
    groups = entry.groups if entry.groups is not None else experts
    if groups == experts:
        return plan.target.sizes["active"] / plan.base.sizes["active"]
    return 1.0 if groups == 1 else groups / base


def _entry(plan: ScalingPlan, role: str) -> Entry:
    """The entry of the first parameter with a role."""
    return next(entry for entry in plan.entries if entry.role == role)


def _of(plan: ScalingPlan, role: str, field: str) -> float:
    """Exponent of one multiplier of a role."""
    return _log(plan, getattr(_entry(plan, role), field))


def _power(plan: ScalingPlan, name: str) -> float:
    """Growth of a size, as a power of the width."""
    return _log(plan, _entry(plan, "expert_out").ratios[name])


def _log(plan: ScalingPlan, ratio: float) -> float:
    """A ratio as a power of the growth of the width."""
    return math.log(ratio) / math.log(plan.target.width / plan.base.width)
