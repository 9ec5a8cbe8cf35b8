"""What starts at zero, or is not to be drawn, stays so when a plan draws or rescales a model."""

import pytest
import torch
from torch import nn

from orderparam.errors import InvalidProblem
from orderparam.experts import Role, RoleRules, ScalingWarning, Shape
from orderparam.experts.adapters.pytorch.plan import torch_plan

WIDTHS = (64, 256)
RULES = RoleRules(
    [
        ("embed.weight", "input"),
        ("up.weight", "ffn_in"),
        ("up.bias", Role("bias", hidden="ffn")),
        ("*.lora_A.*", Role("low_rank_in", hidden="rank", optional=True)),
        ("*.lora_B.*", Role("low_rank_out", hidden="rank", optional=True)),
        ("*.zero.*", Role("ffn_out", hidden="rank", initial="zero", optional=True)),
        ("head.weight", Role("head", axes="x i")),
        ("head.bias", "head_bias"),
    ]
)


class Model(nn.Module):
    def __init__(self, width, pair=("lora_A", "lora_B")):
        super().__init__()
        self.embed = nn.Embedding(20, width, padding_idx=3)
        self.up = nn.Linear(width, 2 * width)
        self.pair = nn.ModuleDict(
            {pair[0]: nn.Linear(width, 4, bias=False), pair[1]: nn.Linear(4, width, bias=False)}
        )
        self.head = nn.Linear(width, 10)
        nn.init.zeros_(self.pair[pair[1]].weight)


def make(width=WIDTHS[1], **choices):
    shapes = [Shape(width=w, ffn_width=2 * w, widths={"rank": 4}) for w in (WIDTHS[0], width)]
    torch.manual_seed(0)
    model = Model(width, **choices)
    return model, torch_plan(model, RULES, base=shapes[0], target=shapes[1])


def test_padding_lora_and_what_is_frozen():
    model, plan = make()
    model.head.weight.requires_grad_(False)
    before = model.head.weight.clone()
    plan.initialize_(model, {"default": 0.02})
    assert not model.embed.weight[3].any()
    assert float(model.embed.weight.detach()[4].std()) == pytest.approx(0.02, rel=0.2)
    assert not model.pair["lora_B"].weight.any()
    assert float(model.pair["lora_A"].weight.detach().std()) == pytest.approx(0.01, rel=0.2)
    assert torch.equal(model.head.weight, before)
    plan.rescale_(model, initialised="constant")
    assert torch.equal(model.head.weight, before)
    assert plan["pair.lora_B.weight"].special == "starts at zero"


def test_a_rule_may_say_how_a_parameter_starts():
    model, plan = make(pair=("lora_A", "zero"))
    plan.initialize_(model)
    assert not model.pair["zero"].weight.any()
    with pytest.raises(InvalidProblem, match="Argument `initial` must be one of"):
        Role("head", initial="random")


@pytest.mark.parametrize("initialised", ["fan_in", "constant"])
def test_rescaling_keeps_biases_at_the_size_of_the_base(initialised):
    base, plan = make(WIDTHS[0])
    before = {name: value.clone() for name, value in base.state_dict().items()}
    plan.rescale_(base, initialised=initialised)
    assert all(torch.equal(before[name], value) for name, value in base.state_dict().items())
    assert before["up.bias"].any()
    model, plan = make()
    drawn = model.up.bias.detach().clone()
    plan.rescale_(model, initialised=initialised)
    factor = 2.0 if initialised == "fan_in" else 1.0  # PyTorch draws it with 1 / sqrt(width)
    assert torch.allclose(model.up.bias, factor * drawn)
    if initialised == "fan_in":
        sizes = [float(m.up.bias.detach().std()) for m in (base, model)]
        assert sizes[1] == pytest.approx(sizes[0], rel=0.1)


def test_a_bias_whose_size_at_the_base_cannot_be_told():
    class Lonely(nn.Module):
        def __init__(self):
            super().__init__()
            self.offset = nn.Parameter(torch.ones(256))

    model, sizes = Lonely(), [Shape(width=width) for width in WIDTHS]
    plan = torch_plan(model, RoleRules([("offset", "bias")]), base=sizes[0], target=sizes[1])
    with pytest.raises(InvalidProblem, match="no weight beside it"):
        plan.rescale_(model, initialised="fan_in")
    assert model.offset.all()
    nn.init.zeros_(model.offset)
    plan.rescale_(model, initialised="fan_in")
    assert not model.offset.any()


def test_buffers_that_no_code_computes_are_warned_of():
    class Buffered(nn.Module):
        def __init__(self):
            super().__init__()
            self.input = nn.Linear(3, 256, bias=False)
            self.norm = nn.BatchNorm1d(256, affine=False)
            self.table = nn.Buffer(torch.arange(3.0), persistent=False)

    sizes = {"base": Shape(width=64), "target": Shape(width=256)}
    rules = RoleRules([("input.weight", "input")])
    with torch.device("meta"):
        model = Buffered()
    with pytest.warns(ScalingWarning, match="'table' are on the meta device"):
        plan = torch_plan(model, rules, **sizes)
    del model.table
    torch_plan(model, rules, **sizes)
    model.input.to_empty(device="cpu")
    with pytest.raises(InvalidProblem, match=r"'norm\.running_mean' is on the meta device"):
        plan.initialize_(model)
    model.to_empty(device="cpu").norm.running_var.fill_(9)
    plan.initialize_(model)
    assert torch.equal(model.norm.running_var, torch.ones(256))
