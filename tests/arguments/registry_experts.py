"""Experts: each constructor and function with a call that works."""

import numpy as np
from case import Case

import orderparam as op


def expert_cases() -> list[Case]:
    """Shapes, rules, plans and checks."""
    e = op.experts
    base, target = e.Shape(64, experts=4, expert_width=16), e.Shape(128, experts=8, expert_width=16)
    wide = {"base": e.Shape(64), "target": e.Shape(128)}
    plan = e.role_table(base, target)
    shapes = {"head.weight": (10, 128)}
    rules = e.RoleRules([("head.weight", "head")])
    optional = dict.fromkeys(("base_shapes", "base_model"), "none shapes")
    recipe = {name: f.default for name, f in e.Recipe.__dataclass_fields__.items()}
    whole = {name: getattr(plan, name) for name in type(plan).__dataclass_fields__}
    return [
        Case(
            "experts.Shape",
            e.Shape,
            {
                "width": 64,
                "experts": 4,
                "active": 2,
                "expert_width": 8,
                "ffn_width": 8,
                "head_dim": 4,
                "attention_width": 8,
                "kv_width": 8,
                "widths": {"rank": 4},
            },
            accepts={"widths": "dict"},
        ),
        Case(
            "experts.Recipe",
            e.Recipe,
            {"depth_exponent": 0.5, "aggregation_exponent": 1, "capacity_factor": 1.5},
        ),
        Case("experts.Role", e.Role, {"name": "attn_q", "axes": "o i"}),
        Case("experts.RoleRules", e.RoleRules, {"rules": [("*", "head")]}, accepts={"rules": ""}),
        Case("experts.role_table", e.role_table, {"base": base, "target": target, **recipe}),
        Case("experts.infer_regime", e.infer_regime, {"base": base, "target": target}),
        Case(
            "experts.plan_from_shapes",
            e.plan_from_shapes,
            {
                "shapes": shapes,
                "rules": rules,
                **wide,
                "base_shapes": {"head.weight": (10, 64)},
                "default_layout": {},
            },
            accepts={"shapes": "shapes", "kind": "", **optional, "default_layout": "none"},
        ),
        Case(
            "experts.torch_plan",
            e.torch_plan,
            {"model": None, "rules": rules, **wide},
            accepts={"model": "none", **optional},
        ),
        Case("experts.Ladder", e.Ladder),
        Case("experts.Transfer", e.Transfer),
        Case("experts.Trap", e.Trap, {"trap": "tied-logits"}),
        Case("experts.coordinate_check", e.coordinate_check, {"builder": lambda *a: None}),
        Case(
            "experts.learning_rate_transfer", e.learning_rate_transfer, {"builder": lambda *a: None}
        ),
        Case("experts.ForwardMultipliers", e.ForwardMultipliers, holds=True),
        Case(
            "experts.Growth",
            e.Growth,
            {"regime": "I", "deviation": 0.0, "experts": 1.0, "expert_width": 1.0},
            holds=True,
        ),
        Case(
            "experts.Entry",
            e.Entry,
            {n: getattr(plan.entries[0], n) for n in e.Entry.__dataclass_fields__},
            holds=True,
        ),
        Case("experts.ScalingPlan", e.ScalingPlan, whole, holds=True),
        Case("experts.TorchPlan", e.TorchPlan, whole, holds=True),
        Case(
            "experts.Setup",
            e.Setup,
            dict.fromkeys(("model", "plan", "optimizer", "batch", "loss", "probe")),
            holds=True,
        ),
        Case(
            "experts.CoordinateCheck",
            e.CoordinateCheck,
            {"solution": None, "exponents": (), "plan": plan},
            holds=True,
        ),
        Case(
            "experts.LearningRateTransfer",
            e.LearningRateTransfer,
            {
                "sizes": (1,),
                "factors": (1.0,),
                "loss": np.ones((1, 1, 1)),
                "optima": (),
                "shift": 0.0,
                "shift_se": 0.0,
                "stays": True,
                "improves": True,
                "improves_fixed": True,
                "settings": {},
            },
            holds=True,
        ),
    ]
