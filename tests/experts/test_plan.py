"""Plans: roles of names, axes, explanations, differences, files, and every refusal."""

import json
import warnings

import pytest
from typer.testing import CliRunner

from orderparam.cli import app as cli
from orderparam.errors import CorruptFile, InvalidProblem, UnsupportedCombination
from orderparam.experts import (
    Role,
    RoleRules,
    ScalingPlan,
    ScalingWarning,
    Shape,
    infer_regime,
    plan_from_shapes,
    role_table,
)  # fmt: skip
from orderparam.experts.rules.axes import layout
from orderparam.experts.rules.role_rules import all_normalised, normalised
from orderparam.experts.rules.sharing import group_of

BASE = Shape(width=64, experts=8, active=8, expert_width=16)
THREE = Shape(width=256, experts=32, active=32, expert_width=64)
TWO = Shape(width=256, experts=32, active=32, expert_width=16)
ONE = Shape(width=256, experts=8, active=8, expert_width=64)
RULES = [
    ("embed", Role("input", axes="v o")),
    ("*.router", "router"),
    ("*.up", Role("expert_in", axes="e (2 o) i")),
    ("*.down", Role("expert_out", axes="e o i")),
    ("head", "head"),
]


def shapes(size):
    n, m, e = size.width, size.experts, size.expert_width
    return {
        "embed": (50, n),
        "block.router": (m, n),
        "block.up": (m, 2 * e, n),
        "block.down": (m, n, e),
        "head": (10, n),
    }


def plan(target=THREE, base=BASE, rules=RULES, **choices):
    return plan_from_shapes(shapes(target), RoleRules(rules), base=base, target=target, **choices)


def test_fan_in_follows_the_axes():
    assert layout("w", "e (2 o) i", (8, 32, 64)).outputs == 16
    assert layout("w", "e (2 o) i", (8, 32, 64)).fan_out == 32
    assert layout("w", "i o", (64, 32)).fan_in == 64
    assert layout("w", "o i k k", (32, 16, 3, 3)).fan_in == 16 * 9
    assert layout("w", "i o o", (64, 4, 16)).outputs == 64
    assert layout("w", "v o", (5000, 64)).fan_in == 1


@pytest.mark.parametrize(
    ("axes", "shape", "message"),
    [
        ("o i", (3, 4, 5), "name 2 axes"),
        ("o j", (3, 4), "hold 'j'"),
        ("(3 o) i", (64, 64), "cannot hold 3 fused parts"),
    ],
)
def test_axes_that_do_not_fit(axes, shape, message):
    with pytest.raises(InvalidProblem, match=message):
        layout("block.w", axes, shape)


def test_names_lose_what_wrappers_add():
    assert normalised("_orig_mod.module.h.0._fsdp_wrapped_module.w") == "h.0.w"
    assert normalised("my_module.w") == "my_module.w"
    with pytest.raises(InvalidProblem, match="same name"):
        all_normalised(["module.w", "w"])


def test_experts_as_modules_share_a_key():
    rules = RoleRules([("*.experts.{expert}.up.weight", "expert_in")])
    keys = {rules.match(f"b.0.experts.{i}.up.weight").key for i in range(12)}
    assert keys == {"b.0.experts.{expert}.up.weight"}


@pytest.mark.parametrize(
    ("target", "regime"),
    [(ONE, "I"), (TWO, "II"), (THREE, "III"), (BASE, "base")],
)
def test_regimes(target, regime):
    assert infer_regime(BASE, target).regime == regime
    assert infer_regime(Shape(width=64), Shape(width=128)).regime == "dense"


def test_explanations_name_numbers_and_steps():
    text = plan(parameterization="mssp").explain("block.down")
    for part in (
        "expert_out",
        "Fan-in 64 grows as e",
        "1 / (k n)",
        "x 0.25",
        "x 0.0625",
        "1 draws",
    ):
        assert part in text
    assert "update / gradient = k n / e" in plan(optimizer="sgd").explain("block.down")


def test_differences():
    one, other = plan(parameterization="mup"), plan(parameterization="mssp")
    lines = one.diff(other)
    assert one.diff(one) == []
    assert "recipe: parameterization 'mup' -> 'mssp'" in lines
    assert "block.down: special '' -> '1 draws for 32 experts'" in lines


def test_a_plan_survives_its_file(tmp_path):
    made = plan(parameterization="mssp", optimizer="sgd", gate="normalised")
    path = made.save(tmp_path / "plan.json")
    assert ScalingPlan.load(path) == made
    assert ScalingPlan.load(path).fingerprint() == made.fingerprint()
    text = path.read_text()
    for wrong in ("{}", text[:-20], text.replace('"table_version": 1', '"table_version": 7')):
        with pytest.raises(CorruptFile):
            ScalingPlan.from_json(wrong)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (RULES[:-1], "No rule gives a role to 'head'"),
        ([*RULES, ("*.gate", "gate")], r"rule '\*.gate' decides for no parameter"),
        ([*RULES[:2], ("*.up", Role("expert_in", axes="e o i")), *RULES[3:]], "output size 128"),
        (
            [*RULES[:2], ("*.up", Role("expert_in", axes="o i k")), *RULES[3:]],
            "shows no experts|has",
        ),
        ([("embed", Role("ffn_in")), *RULES[1:]], "needs the size 'ffn'"),
    ],
)
def test_rules_that_do_not_fit_the_model(rules, message):
    with pytest.raises(InvalidProblem, match=message):
        plan(rules=rules)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"width": 0}, "at least 1"),
        ({"width": -4}, "at least 1"),
        ({"width": 8, "experts": 4}, "needs `expert_width`"),
        ({"width": 8, "experts": 4, "expert_width": 2, "active": 5}, "cannot use more experts"),
        ({"width": 8, "active": 2}, "needs `experts`"),
        ({"width": 8, "widths": {"rank": 0}}, "at least 1"),
    ],
)
def test_impossible_shapes(sizes, message):
    with pytest.raises(InvalidProblem, match=message):
        Shape(**sizes)


@pytest.mark.parametrize(
    ("choices", "error", "message"),
    [
        ({"parameterization": "mu"}, InvalidProblem, "must be one of"),
        ({"parametrization": "mup"}, InvalidProblem, "is unknown; use one of"),
        ({"optimizer": "muon"}, UnsupportedCombination, "orthogonalises"),
        ({"optimizer": "Shampoo"}, UnsupportedCombination, "matrix roots"),
        ({"optimizer": "rprop"}, InvalidProblem, "`optimizer` must be one of"),
        ({"depth_exponent": 1.5}, InvalidProblem, "of at least 0 and at most 1"),
        ({"depth_exponent": -0.1}, InvalidProblem, "of at least 0 and at most 1"),
        (
            {"parameterization": "sp", "depth_exponent": 1.0},
            UnsupportedCombination,
            "no depth rule",
        ),
        ({"sharing": "full"}, UnsupportedCombination, "belongs to the parameterization 'mssp'"),
        ({"gate": "normalised", "aggregation_exponent": 1.0}, InvalidProblem, "does so again"),
        ({"aggregation_exponent": 0.0}, InvalidProblem, "sum over experts grows"),
        ({"parameterization": "mssp", "zero_router": True}, InvalidProblem, "identical for ever"),
    ],
)
def test_choices_that_contradict(choices, error, message):
    with pytest.raises(error, match=message):
        plan(**choices)


def test_a_zero_router_with_top_k_needs_something_that_breaks_ties():
    base = Shape(width=64, experts=16, active=4, expert_width=16)
    target = Shape(width=128, experts=16, active=4, expert_width=32)
    with pytest.raises(InvalidProblem, match="same experts for every input"):
        plan(target, base, parameterization="mssp")
    for allowed in ({"tie_break": True}, {"routing": "soft"}):
        assert plan(target, base, parameterization="mssp", **allowed)["block.router"].special


def test_a_norm_on_expert_outputs_undoes_the_rule():
    with pytest.raises(InvalidProblem, match="undoes the growth"):
        plan(TWO, parameterization="mssp", expert_output_norm=True)
    assert plan(ONE, parameterization="mssp", expert_output_norm=True).regime == "I"


def test_base_and_target_have_to_name_the_same_sizes():
    with pytest.raises(InvalidProblem, match="only one has ffn"):
        infer_regime(BASE, Shape(width=64, experts=8, expert_width=16, ffn_width=3))
    with pytest.raises(InvalidProblem, match="no regime can be inferred"):
        plan(BASE, parameterization="mssp")


def test_parameters_that_grow_need_a_role_that_scales():
    rules = [("head", "frozen"), *RULES[:-1]]
    with pytest.raises(InvalidProblem, match="'frozen' does not scale"):
        plan(rules=rules, base_shapes=shapes(BASE))
    wrong = {**shapes(BASE), "block.router": (9, 64)}
    with pytest.raises(InvalidProblem, match=r"'block.router'.*output size 9.*experts = 8"):
        plan(base_shapes=wrong)
    assert plan(base_shapes=shapes(BASE)) == plan()


@pytest.mark.parametrize(
    ("base", "target", "choices", "message"),
    [
        ({}, {"active": 4}, {}, "active share of experts changes"),
        ({"active": 2}, {"active": 8}, {"tie_break": True}, "only 2 active experts"),
        ({"width": 32}, {"width": 128}, {}, "below 64"),
        ({}, {"width": 64, "expert_width": 16}, {}, "residual width does not"),
        ({}, {"expert_width": 32}, {}, "none of the regimes"),
        ({}, {"layers": 8}, {}, "no rule for depth"),
        ({}, {}, {"auxiliary_loss": "fixed"}, "auxiliary_loss"),
        ({}, {}, {"capacity_factor": 1.25}, "Dropping tokens"),
        ({}, {}, {"parameterization": "mssp", "sharing": "none"}, "not scale-stable in regime III"),
    ],
)
def test_warnings(base, target, choices, message):
    sizes = {"experts": 8, "active": 8, "expert_width": 16, "width": 64}
    before = Shape(**{**sizes, **base})
    after = Shape(
        **{**sizes, "width": 256, "experts": 32, "active": 32, "expert_width": 64, **target}
    )
    with pytest.warns(ScalingWarning) as caught:
        made = plan(after, before, **choices)
    assert any(message in str(warning.message) for warning in caught)
    assert any(message in text for text in made.warnings)
    assert any(message in line for line in made.report().splitlines())


def test_a_plain_plan_gives_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert plan().warnings == ()


def test_forward_multipliers():
    base = Shape(width=64, experts=8, active=8, expert_width=16, head_dim=16, layers=2)
    target = Shape(width=256, experts=32, active=32, expert_width=64, head_dim=32, layers=8)
    given = role_table(base, target, depth_exponent=0.5).forward_multipliers
    found = (given.aggregation, given.residual, given.attention, given.logits, given.auxiliary_loss)
    assert found == (0.25, 0.5, 0.5, 1.0, 0.25)
    kept = role_table(base, target, depth_exponent=0.5, gate="normalised", qk_norm=True)
    assert (kept.forward_multipliers.aggregation, kept.forward_multipliers.attention) == (1.0, 1.0)
    head = role_table(base, target, depth_exponent=0.5, head_multiplier=True)
    assert head.forward_multipliers.logits == 0.25
    tied = plan(rules=[("embed", Role("tied_embedding", axes="v o")), *RULES[1:]])
    assert tied.forward_multipliers.logits == 0.25
    assert (tied["embed"].std, tied["embed"].learning_rate) == (1.0, 1.0)


def test_neighbouring_experts_are_in_different_groups():
    groups = [group_of(i, 12, 4) for i in range(12)]
    assert all(groups.count(g) == 3 for g in range(4))
    with pytest.raises(InvalidProblem, match="is not one of"):
        group_of(12, 12, 4)


def call(*arguments):
    return CliRunner().invoke(cli.app, ["scale", *arguments])


def test_scale_prints_the_table(tmp_path):
    sizes = ("--base", "width=64,experts=8,expert_width=16", "--target")
    target = "width=256,experts=32,expert_width=64"
    shown = call(
        *sizes, target, "--set", "parameterization=mssp", "--save", str(tmp_path / "p.json")
    )
    assert shown.exit_code == 0
    assert "regime III" in shown.stdout
    assert "1 draws for 32 experts" in shown.stdout
    assert ScalingPlan.load(tmp_path / "p.json").regime == "III"
    document = json.loads(call(*sizes, target, "--json").stdout)
    rates = {entry["name"]: entry["learning_rate"] for entry in document["entries"]}
    assert rates["expert_out"] == 0.25
    assert "update" in call(*sizes, target, "--explain", "router").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--base", "width=64", "--target", "width"), "name=number"),
        (("--base", "ffn_width=64", "--target", "width=64"), "lack `width`"),
        (("--base", "width=64", "--target", "width=64", "--set", "optimizer"), "lacks a value"),
        (("--base", "width=64", "--target", "width=64", "--set", "optimizer=muon"), "Muon|muon"),
    ],
)
def test_scale_refuses(arguments, message):
    result = call(*arguments)
    assert result.exit_code == 2
    assert message.split("|")[-1] in result.stderr
