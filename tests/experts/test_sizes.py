"""Sizes that are misspelt, missing or used by nothing are refused, with the nearest right one."""

import pytest
from typer.testing import CliRunner

from orderparam.cli import app as cli
from orderparam.errors import InvalidProblem
from orderparam.experts import Role, RoleRules, Shape, plan_from_shapes, role_table

ATTENTION = RoleRules([("embed", Role("input", axes="v o")), ("qkv", Role("attn_qkv", axes="i o"))])


def attention_plan(sizes, **choices):
    base, target = (Shape(width=width, **sizes) for width in (64, 256))
    shapes = {"embed": (50, 256), "qkv": (256, 256)}
    return plan_from_shapes(shapes, ATTENTION, base=base, target=target, **choices)


def scale(base, target):
    return CliRunner().invoke(cli.app, ["scale", "--base", base, "--target", target])


@pytest.mark.parametrize(
    ("sizes", "near"),
    [("head_dims=32", "head_dim"), ("ffn=1024", "ffn_width"), ("expert_widht=3", "expert_width")],
)
def test_a_misspelt_size_on_the_command_line(sizes, near):
    result = scale(f"width=64,{sizes}", f"width=256,{sizes}")
    assert result.exit_code == 2
    assert f"Did you mean '{near}'?" in result.stderr
    assert "twice" in scale("width=64,width=32", "width=256").stderr


def test_the_right_spelling_scales_attention():
    result = scale("width=64,head_dim=16,layers=2", "width=256,head_dim=64,layers=2")
    assert result.exit_code == 0
    assert "attention x 0.25" in result.stdout
    assert "attn_qkv" in result.stdout


def test_a_table_without_head_dim_says_nothing_of_attention():
    plan = role_table(Shape(width=64), Shape(width=256))
    assert not any(entry.role.startswith("attn_") for entry in plan.entries)
    assert "nothing is said of attention" in plan.report()
    known = role_table(Shape(width=64), Shape(width=256), qk_norm=True)
    assert known["attn_qkv"].learning_rate == 0.25
    with pytest.raises(InvalidProblem, match="needs `head_dim`"):
        role_table(Shape(width=64, attention_width=64), Shape(width=256, attention_width=256))


def test_a_model_with_attention_needs_head_dim():
    with pytest.raises(InvalidProblem, match=r"attn_qkv.*needs `head_dim`"):
        attention_plan({})
    assert attention_plan({}, qk_norm=True).forward_multipliers.attention == 1.0
    assert attention_plan({"head_dim": 16}).forward_multipliers.attention == 1.0


def test_widths_that_no_rule_uses_or_that_have_an_argument():
    with pytest.raises(InvalidProblem, match=r"'head_dims' that no rule uses.*mean 'head_dim'"):
        attention_plan({"head_dim": 16, "widths": {"head_dims": 16}})
    for name, argument in (("ffn", "ffn_width"), ("width", "width"), ("kv", "kv_width")):
        with pytest.raises(InvalidProblem, match=f"argument of its own; write {argument}=3"):
            Shape(width=64, widths={name: 3})


def test_hidden_widths_and_choices_that_do_not_exist():
    with pytest.raises(InvalidProblem, match="scales with no hidden width"):
        Role("head", hidden="rank")
    rules = RoleRules([("down", Role("low_rank_in", axes="i o", hidden="rnk"))])
    sizes = [Shape(width=width, widths={"rank": 8}) for width in (64, 256)]
    with pytest.raises(InvalidProblem, match=r"'rank' that no rule uses.*mean 'rnk'"):
        plan_from_shapes({"down": (256, 8)}, rules, base=sizes[0], target=sizes[1])
    with pytest.raises(InvalidProblem, match="needs the size 'rnk'"):
        plan_from_shapes({"down": (256, 8)}, rules, base=Shape(64), target=Shape(256))
    with pytest.raises(InvalidProblem, match="Did you mean 'parameterization'"):
        role_table(Shape(width=64), Shape(width=256), parametrization="mssp")
    with pytest.raises(InvalidProblem, match="Did you mean 'ffn_out'"):
        role_table(Shape(64, ffn_width=9), Shape(256, ffn_width=9))["ffn_ot"]


def test_a_wrong_size_names_the_one_it_is():
    sizes = {"head_dim": 16, "attention_width": 128}
    with pytest.raises(InvalidProblem, match="The Shape has this size as width"):
        attention_plan(sizes)
