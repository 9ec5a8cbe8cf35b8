"""Optimisers that no longer follow their plan are found out, whatever was changed in them."""

import copy
import pickle
import warnings

import pytest
import torch

from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.experts import RoleRules, ScalingWarning, Shape
from orderparam.experts.adapters.pytorch.plan import torch_plan
from orderparam.experts.models.mlp import MLP_RULES, MLPMixture

BASE = Shape(width=64, experts=4, active=4, expert_width=8)
TARGET = Shape(width=128, experts=8, active=8, expert_width=16)


def make(target=TARGET, **choices):
    model = MLPMixture(target)
    return model, torch_plan(model, MLP_RULES, base=BASE, target=target, **choices)


def adamw(model, plan):
    return torch.optim.AdamW(plan.param_groups(model, lr=0.01, eps=1e-7, weight_decay=0.1))


def group_of(optimizer, name):
    return next(group for group in optimizer.param_groups if name in group["name_list"])


def set_value(key, value):
    def change(optimizer):
        group_of(optimizer, "block.expert_out")[key] = value

    return change


def forget_a_group(optimizer):
    group = group_of(optimizer, "block.router.weight")
    optimizer.param_groups[:] = [other for other in optimizer.param_groups if other is not group]


def forget_a_parameter(optimizer):
    group_of(optimizer, "block.router.weight")["params"].pop()


def swap(optimizer):
    one, other = (group_of(optimizer, name) for name in ("head.weight", "input.weight"))
    one["params"], other["params"] = other["params"], one["params"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_value("eps", 1e-8), "plan's is"),
        (set_value("weight_decay", 0.1), "Weight decays no longer"),
        (set_value("lr", 0.01), "Learning rates no longer"),
        (forget_a_group, r"has 4 of the 5 .* block\.router\.weight"),
        (forget_a_parameter, "names 1 parameters, but holds 0"),
        (swap, "has shape"),
    ],
)
def test_every_change_of_an_optimiser_is_found(change, message):
    model, plan = make()
    optimizer = adamw(model, plan)
    plan.check_optimizer(optimizer, model)
    change(optimizer)
    with pytest.raises(InvalidProblem, match=message):
        plan.check_optimizer(optimizer)


def test_one_factor_for_all_decays_is_allowed_and_a_decay_out_of_nothing_is_not():
    model, plan = make()
    optimizer = adamw(model, plan)
    for group in optimizer.param_groups:
        group["weight_decay"] *= 0.5
    plan.check_optimizer(optimizer)
    optimizer = torch.optim.AdamW(plan.param_groups(model, lr=0.01))
    optimizer.param_groups[0]["weight_decay"] = 0.1
    with pytest.raises(InvalidProblem, match="the plan's is 0"):
        plan.check_optimizer(optimizer)


def test_tensors_that_are_not_the_models_or_under_another_name():
    square = torch.nn.Sequential(*(torch.nn.Linear(128, 128, bias=False) for _ in range(2)))
    sizes = [Shape(width=width, ffn_width=128) for width in (64, 128)]
    rules = RoleRules([("0.weight", "ffn_in"), ("1.weight", "ffn_out")])
    plan = torch_plan(square, rules, base=sizes[0], target=sizes[1])
    optimizer = torch.optim.AdamW(plan.param_groups(square, lr=0.1))
    plan.check_optimizer(optimizer, square)
    one, other = optimizer.param_groups
    one["params"], other["params"] = other["params"], one["params"]
    with pytest.raises(InvalidProblem, match="under the name"):
        plan.check_optimizer(optimizer, square)
    with pytest.raises(InvalidProblem, match="is not in the optimiser"):
        plan.check_optimizer(optimizer, copy.deepcopy(square))


@pytest.mark.parametrize("given", [{"weight_decay": 0.1}, {"eps": 1e-6}, {"lr": 0.3}])
def test_values_that_an_optimiser_would_drop_are_refused(given):
    model, plan = make()
    key, value = next(iter(given.items()))
    with pytest.raises(InvalidProblem, match=rf"was given {key}={value}.*plan\.param_groups"):
        torch.optim.AdamW(plan.param_groups(model, lr=0.01), **given)
    # The same values given to both say the same.
    groups = plan.param_groups(model, **{"lr": {"default": 0.01, "head": 0.02}, **given})
    plan.check_optimizer(torch.optim.AdamW(groups, **given))


def test_groups_are_ordinary_otherwise():
    model, plan = make()
    optimizer = adamw(model, plan)
    for again in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        plan.check_optimizer(again)
    optimizer.load_state_dict(optimizer.state_dict())
    plan.check_optimizer(optimizer, model)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    with warnings.catch_warnings():  # those of PyTorch about itself
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.compile(optimizer.step, backend="eager")()
    torch.optim.RMSprop(plan.param_groups(model, lr=0.1))  # its own default is 0.01
    plan.check_optimizer(optimizer, model)


def test_a_plan_of_another_size_or_depth():
    model, _ = make()
    _, other = make(Shape(width=256, experts=16, active=16, expert_width=32))
    for use in (
        lambda: other.param_groups(model, lr=0.1),
        lambda: other.initialize_(model),
        lambda: other.rescale_(model, initialised="fan_in"),
        lambda: other.clip_groups(model, 1.0),
    ):
        with pytest.raises(InvalidProblem, match=r"has shape \(128, 64\), .* \(256, 64\)"):
            use()
    deep = torch.nn.Sequential(*(torch.nn.Linear(128, 128, bias=False) for _ in range(3)))
    sizes = [Shape(width=width, ffn_width=128) for width in (64, 128)]
    plan = torch_plan(deep, RoleRules([("*.weight", "ffn_in")]), base=sizes[0], target=sizes[1])
    with pytest.warns(ScalingWarning, match=r"lacks 1 parameters of the plan, such as '2\.weight'"):
        plan.param_groups(deep[:2], lr=0.1)


def test_clipping_where_a_rank_holds_some_experts():
    model, plan = make()
    part = MLPMixture(Shape(width=128, experts=4, active=4, expert_width=16))
    part.block.router = torch.nn.Linear(128, 8, bias=False)
    with pytest.raises(UnsupportedCombination, match=r"only some of the experts of 'block\.exp"):
        plan.clip_groups(part, 1.0)
    assert len(plan.param_groups(part, lr=0.1)) == len(plan.param_groups(model, lr=0.1))
