"""Plans on PyTorch models: initial values, groups, checks of optimisers and schedules."""

import copy
import warnings

import pytest
import torch

from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.experts import Role, RoleRules, ScalingWarning, Shape
from orderparam.experts.adapters.pytorch.plan import TorchPlan, torch_plan
from orderparam.experts.models.mlp import MLP_RULES, MLPMixture
from orderparam.experts.models.transformer import TRANSFORMER_RULES, TransformerMixture

BASE = Shape(width=64, experts=8, active=8, expert_width=8)
TARGETS = {
    "I": Shape(width=256, experts=8, active=8, expert_width=32),
    "II": Shape(width=256, experts=32, active=32, expert_width=8),
    "III": Shape(width=256, experts=32, active=32, expert_width=32),
}
DEEP_BASE = Shape(width=64, experts=4, active=4, expert_width=8, layers=2, head_dim=16)
DEEP = Shape(width=128, experts=8, active=8, expert_width=16, layers=3, head_dim=16)


def make(regime="III", **choices):
    target = TARGETS.get(regime, BASE)
    model = MLPMixture(target)
    return model, torch_plan(model, MLP_RULES, base=BASE, target=target, **choices)


def adamw(model, plan, **values):
    groups = plan.param_groups(model, **{"lr": 0.01, "weight_decay": 0.1, **values})
    return torch.optim.AdamW(groups)


@pytest.mark.parametrize("regime", ["I", "II", "III"])
def test_initial_stds_are_base_times_multiplier(regime):
    model, plan = make(regime, parameterization="mssp")
    plan.initialize_(model, {"head": 1 / 64, "input": 1.0}, seed=3)
    wanted = {"input.weight": 1.0, "head.weight": 1 / 256, "block.expert_in": 256**-0.5}
    wanted["block.expert_out"] = {"I": 32**-0.5, "II": (4 / 8) ** 0.5, "III": 32**-0.5}[regime]
    wanted["block.router.weight"] = {"I": 0.0, "II": 1 / 16, "III": 1 / 16}[regime]
    for name, parameter in model.named_parameters():
        count = parameter.numel() / (32 if regime == "III" and "expert" in name else 1)
        error = 5 * wanted[name] / (2 * count) ** 0.5 + 1e-12
        assert abs(float(parameter.detach().std()) - wanted[name]) < error, name
    shared = bool((model.block.expert_in == model.block.expert_in[:1]).all())
    assert shared is (regime == "III")


def test_initial_values_depend_on_name_expert_and_seed_alone():
    model, plan = make("II", parameterization="mssp")
    plan.initialize_(model, seed=1)
    again = MLPMixture(TARGETS["II"])
    plan.initialize_(again, generator=torch.Generator().manual_seed(0))
    assert not torch.equal(again.head.weight, model.head.weight)
    plan.initialize_(again, seed=1)
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    # A rank that holds experts 8 to 15 draws the same numbers for them.
    rank = MLPMixture(Shape(width=256, experts=8, active=8, expert_width=8))
    rank.block.router = torch.nn.Linear(256, 32, bias=False)
    plan.initialize_(rank, seed=1, first_expert=8)
    assert torch.equal(rank.block.expert_in, model.block.expert_in[8:16])
    assert torch.equal(rank.block.router.weight, model.block.router.weight)
    with pytest.raises(InvalidProblem, match="is not one of"):
        plan.initialize_(rank, seed=1, first_expert=30)


def test_groups_of_experts_share_draws():
    target = Shape(width=128, experts=32, active=32, expert_width=8)
    model = MLPMixture(target)
    with pytest.warns(ScalingWarning):
        plan = torch_plan(
            model, MLP_RULES, base=BASE, target=target, parameterization="mssp", sharing="groups"
        )
    plan.initialize_(model)
    weights = model.block.expert_out
    assert plan["block.expert_out"].groups == 16
    assert torch.equal(weights[:16], weights[16:])
    assert len({float(w.detach()[0, 0]) for w in weights}) == 16


def test_a_model_on_the_meta_device():
    with torch.device("meta"):
        model = MLPMixture(TARGETS["III"])
    plan = torch_plan(model, MLP_RULES, base=BASE, target=TARGETS["III"])
    with pytest.raises(InvalidProblem, match="to_empty"):
        plan.initialize_(model)
    plan.initialize_(model.to_empty(device="cpu"), seed=5)
    ordinary, _ = make("III")
    plan.initialize_(ordinary, seed=5)
    assert torch.equal(ordinary.block.expert_in, model.block.expert_in)


@pytest.mark.parametrize("name", ["mup", "mssp", "sp", "ntp"])
def test_nothing_is_touched_at_the_base_size(name):
    choices = {"sharing": "groups"} if name == "mssp" else {}
    model, plan = make("base", parameterization=name, **choices)
    before = copy.deepcopy(model.state_dict())
    assert plan.identity
    for initialised in ("fan_in", "constant"):
        plan.rescale_(model, initialised=initialised)
    for group in plan.param_groups(model, lr=0.3, eps=1e-7, weight_decay=0.2):
        assert (group["lr"], group["eps"], group["weight_decay"]) == (0.3, 1e-7, 0.2)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_rescaling_what_the_model_has_drawn():
    model, plan = make("III", parameterization="mssp")
    before = copy.deepcopy(model.state_dict())
    plan.rescale_(model, initialised="fan_in")
    after = model.state_dict()
    assert torch.equal(after["block.router.weight"], before["block.router.weight"])
    assert torch.equal(after["head.weight"], before["head.weight"] * 0.5)
    assert torch.equal(after["block.expert_in"], before["block.expert_in"][:1].expand(32, -1, -1))
    model.load_state_dict(before)
    plan.rescale_(model, initialised="constant")
    assert torch.equal(model.head.weight, before["head.weight"] / 4)
    with pytest.raises(InvalidProblem, match="one of 'fan_in', 'constant'"):
        plan.rescale_(model, initialised="xavier")


def test_groups_carry_values_and_names():
    model, plan = make("II", parameterization="mssp")
    groups = plan.param_groups(
        model, lr={"default": 0.01, "router": 0.05}, eps=1e-8, weight_decay=0.1
    )
    by_name = {name: group for group in groups for name in group["name_list"]}
    assert sorted(by_name) == sorted(name for name, _ in model.named_parameters())
    out, router = by_name["block.expert_out"], by_name["block.router.weight"]
    assert (out["lr"], out["eps"]) == (0.01, pytest.approx(1e-8 / 16))
    assert (router["lr"], router["lr_mult"]) == (pytest.approx(0.05 / 4), 0.25)
    assert router["lr"] * router["weight_decay"] == pytest.approx(0.05 * 0.1)
    assert router["role"] == "router"
    ids = [id(p) for group in groups for p in group["params"]]
    assert len(ids) == len(set(ids)) == 5
    sgd_model, sgd = make("II", optimizer="sgd")
    assert all("eps" not in group for group in sgd.param_groups(sgd_model, lr=1.0))
    vectors = TransformerMixture(DEEP)
    plan = torch_plan(
        vectors, TRANSFORMER_RULES, base=DEEP_BASE, target=DEEP, depth_exponent=1.0,
        weight_decay_mode="none_for_vectors",
    )  # fmt: skip
    for group in plan.param_groups(vectors, lr=0.01, weight_decay=0.1):
        gains = all("norm" in name for name in group["name_list"])
        assert (group["weight_decay"] == 0.0) is gains


@pytest.mark.parametrize("options", [{}, {"foreach": True}, {"fused": True}])
def test_every_kind_of_adamw_honours_the_epsilon_of_its_group(options):
    weights = [torch.nn.Parameter(torch.zeros(3)) for _ in range(2)]
    groups = [
        {"params": [w], "eps": eps, "lr": 1.0} for w, eps in zip(weights, (1.0, 1e-8), strict=True)
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.0, **options)
    for weight in weights:
        weight.grad = torch.ones(3)
    optimizer.step()
    assert weights[0].tolist() == pytest.approx([-0.5] * 3, rel=1e-5)
    assert weights[1].tolist() == pytest.approx([-1.0] * 3, rel=1e-5)


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"lr": 0.0}, InvalidProblem, "above 0"),
        ({"lr": float("nan")}, InvalidProblem, "finite"),
        ({"lr": {"router": 0.1}}, InvalidProblem, "no value for the role"),
        ({"lr": {"default": 0.1, "ruter": 0.1}}, InvalidProblem, "not exist.*mean 'router'"),
        ({"lr": True}, InvalidProblem, "above 0"),
        ({"eps": -1e-8}, InvalidProblem, "above 0"),
        ({"weight_decay": -0.1}, InvalidProblem, "at least 0"),
    ],
)
def test_values_that_are_refused(values, error, message):
    model, plan = make()
    with pytest.raises(error, match=message):
        plan.param_groups(model, **{"lr": 0.1, **values})


def test_decay_inside_the_gradient_of_adam():
    model, plan = make(optimizer="adam")
    with pytest.raises(UnsupportedCombination, match="coupled L2"):
        plan.param_groups(model, lr=0.1, weight_decay=0.1)
    model, plan = make()
    groups = plan.param_groups(model, lr=0.1, weight_decay=0.1)
    with pytest.raises(UnsupportedCombination, match="coupled L2"):
        plan.check_optimizer(torch.optim.Adam(groups))
    groups = plan.param_groups(model, lr=0.1, weight_decay=0.1)
    plan.check_optimizer(torch.optim.Adam(groups, decoupled_weight_decay=True))


def test_optimisers_that_do_not_follow_the_plan():
    model, plan = make()
    plan.check_optimizer(adamw(model, plan))
    with pytest.raises(InvalidProblem, match="no plan made"):
        plan.check_optimizer(torch.optim.AdamW(model.parameters()))
    with pytest.raises(InvalidProblem, match="the optimiser is SGD"):
        plan.check_optimizer(torch.optim.SGD(plan.param_groups(model, lr=0.1), lr=0.1))
    matrix = torch.nn.Parameter(torch.zeros(3, 3))
    with pytest.raises(UnsupportedCombination, match="orthogonalises"):
        plan.check_optimizer(torch.optim.Muon([matrix]))
    with pytest.warns(ScalingWarning, match="RMSprop is not known"):
        plan.check_optimizer(torch.optim.RMSprop(plan.param_groups(model, lr=0.1)))
    other_model, other = make("II")
    with pytest.raises(InvalidProblem, match="but the plan is for a model"):
        plan.check_optimizer(adamw(other_model, other))
    _, other = make(parameterization="sp")
    with pytest.raises(InvalidProblem, match="learning-rate multiplier"):
        other.check_optimizer(adamw(model, plan))


def test_schedules_keep_ratios_or_are_found_out():
    model, plan = make()
    optimizer = adamw(model, plan, lr=0.01)
    schedule = plan.schedule(optimizer, lambda step: 0.1 + 0.9 * (step < 2))
    plan.check_scheduler(schedule)
    for _ in range(5):
        optimizer.step()
        schedule.step()
        plan.check_optimizer(optimizer)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1 * 0.01)
    listed = plan.schedule(adamw(model, plan), [1.0, 0.5])
    for _ in range(4):
        listed.optimizer.step()
        listed.step()
    assert listed.optimizer.param_groups[0]["lr"] == pytest.approx(0.005)
    with pytest.raises(InvalidProblem, match="at least 1 numbers"):
        plan.schedule(optimizer, [])


def test_an_absolute_floor_destroys_the_ratios():
    model, plan = make()
    optimizer = adamw(model, plan, lr=0.01)
    floor = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10, eta_min=1e-3)
    with pytest.warns(ScalingWarning, match="eta_min"):
        plan.check_scheduler(floor)
    for _ in range(10):
        optimizer.step()
        floor.step()
    assert {round(group["lr"], 12) for group in optimizer.param_groups} == {1e-3}
    with pytest.raises(InvalidProblem, match="no longer have the plan's ratios"):
        plan.check_optimizer(optimizer)
    to_zero = torch.optim.lr_scheduler.CosineAnnealingLR(adamw(model, plan), 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plan.check_scheduler(to_zero)
    peak = torch.optim.lr_scheduler.OneCycleLR(adamw(model, plan), 0.1, total_steps=10)
    with pytest.warns(ScalingWarning, match="one max_lr"):
        plan.check_scheduler(peak)
    both = torch.optim.lr_scheduler.SequentialLR(
        optimizer, [torch.optim.lr_scheduler.LinearLR(optimizer), floor], [3]
    )
    with pytest.warns(ScalingWarning, match="eta_min"):
        plan.check_scheduler(both)


def test_clipping():
    model, plan = make("III")
    with pytest.warns(ScalingWarning, match="global norm"):
        plan.check_clipping(1.0)
    plan.check_clipping(None)
    plan.check_clipping(0.0)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    sizes = plan.clip_groups(model, {"default": 1e9, "router": 0.5})
    # The gradient of the router may be 1/k of the base's, so an entry of one counts k times.
    assert sizes["router"] == pytest.approx(4.0)
    assert float(model.block.router.weight.grad.mean()) == pytest.approx(0.5 / 4)
    assert float(model.head.weight.grad.mean()) == 1.0


def test_half_precision_is_warned_of():
    model, plan = make("III")
    with pytest.warns(ScalingWarning) as caught:
        plan.param_groups(model.half(), lr=0.1)
    texts = [str(warning.message) for warning in caught]
    assert any("smallest normal number" in text for text in texts)
    assert any("compute its logits in float32" in text for text in texts)


def test_tensors_under_two_names():
    class Tied(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = torch.nn.Embedding(20, 64)
            self.head = torch.nn.Linear(64, 20, bias=False)
            self.head.weight = self.embed.weight

    dense = {"base": Shape(width=16), "target": Shape(width=64)}
    with pytest.raises(InvalidProblem, match="tied_embedding"):
        torch_plan(Tied(), RoleRules([("embed.weight", "input")]), **dense)
    with pytest.warns(ScalingWarning, match="below 64"):
        plan = torch_plan(Tied(), RoleRules([("embed.weight", "tied_embedding")]), **dense)
    assert plan.forward_multipliers.logits == 0.25

    class Same(torch.nn.Module):
        def __init__(self):
            super().__init__()
            one = torch.nn.Linear(64, 8, bias=False)
            self.experts = torch.nn.ModuleList([one, one])

    rules = RoleRules([("experts.{expert}.weight", "expert_in")])
    size = Shape(width=64, experts=2, expert_width=8)
    with pytest.raises(InvalidProblem, match="stay equal for ever"):
        torch_plan(Same(), rules, base=size, target=size)


def test_frozen_parameters():
    model = MLPMixture(TARGETS["III"])
    rules = MLP_RULES.extended([("head.weight", "frozen")])
    rules = RoleRules([(p, Role(r.name, r.axes, optional=True)) for p, r in rules.rules])
    plan = torch_plan(model, rules, base=BASE, target=TARGETS["III"])
    with pytest.raises(InvalidProblem, match="requires a gradient"):
        plan.param_groups(model, lr=0.1)
    before = model.head.weight.clone()
    model.head.weight.requires_grad_(False)
    assert len([n for g in plan.param_groups(model, lr=0.1) for n in g["name_list"]]) == 4
    plan.initialize_(model)
    assert torch.equal(before, model.head.weight)


def test_resuming_with_a_saved_plan(tmp_path):
    model, plan = make("III", parameterization="mssp")
    plan.initialize_(model, seed=2)
    optimizer = adamw(model, plan)
    model(torch.randn(4, 64)).square().mean().backward()
    optimizer.step()
    plan.save(tmp_path / "plan.json")
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(state, tmp_path / "state.pt")

    again = MLPMixture(TARGETS["III"])
    loaded = TorchPlan.load(tmp_path / "plan.json")
    assert loaded == plan
    read = torch.load(tmp_path / "state.pt", weights_only=True)
    again.load_state_dict(read["model"])
    resumed = adamw(again, loaded)
    resumed.load_state_dict(read["optimizer"])
    loaded.check_optimizer(resumed)
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    plan.check_optimizer(copy.deepcopy(resumed))


def test_base_std_has_to_mean_something():
    model, plan = make()
    for wrong, message in (({"rooter": 0.1}, "no role or parameter"), (-1.0, "at least 0")):
        with pytest.raises(InvalidProblem, match=message):
            plan.initialize_(model, wrong)
    plan.initialize_(model, {"head.*": 0.0, "default": 0.02})
    assert not model.head.weight.any()
    assert float(model.input.weight.detach().std()) == pytest.approx(0.02, rel=0.05)
