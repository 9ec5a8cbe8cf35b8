"""Multipliers folded into weights: the plain model gives the same outputs."""

import copy

import pytest
import torch

from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.experts import Shape
from orderparam.experts.adapters.pytorch.plan import torch_plan
from orderparam.experts.models.fold import fold
from orderparam.experts.models.mlp import MLP_RULES, MLPMixture
from orderparam.experts.models.transformer import TRANSFORMER_RULES, TransformerMixture

SIZES = {"active": 4, "experts": 4, "expert_width": 8}
BASE = Shape(width=64, layers=2, head_dim=16, **SIZES)
TARGET = Shape(width=128, layers=4, head_dim=16, **{**SIZES, "active": 8, "experts": 8})
TOKENS = torch.arange(12)[None] % 7


def make(residual=0.5, **choices):
    model = TransformerMixture(TARGET, aggregation=0.03, residual=residual)
    settings = {"depth_exponent": 1.0, "aggregation_exponent": 2.0, **choices}
    plan = torch_plan(model, TRANSFORMER_RULES, base=BASE, target=TARGET, **settings)
    for block in model.blocks:
        block.experts.aggregation = plan.forward_multipliers.aggregation / 4
    return model, plan


def test_the_plain_transformer_gives_the_same_outputs():
    model, plan = make()
    assert plan.forward_multipliers.aggregation == 0.25
    expected = model(TOKENS)
    for _ in range(2):
        fold(plan, model)
        assert torch.allclose(model(TOKENS), expected, atol=1e-5)
    plain = TransformerMixture(TARGET)
    assert not torch.allclose(plain(TOKENS), expected, atol=1e-2)
    plain.load_state_dict(model.state_dict())
    assert torch.allclose(plain(TOKENS), expected, atol=1e-5)


def test_the_plain_mixture_gives_the_same_outputs():
    sizes = [Shape(width=s.width, **{k: s.sizes.get(k, 8) for k in SIZES}) for s in (BASE, TARGET)]
    model = MLPMixture(sizes[1], aggregation=1 / 16)
    plan = torch_plan(
        model, MLP_RULES, base=sizes[0], target=sizes[1], aggregation_exponent=2.0
    )  # fmt: skip
    inputs = torch.randn(5, 64)
    expected = model(inputs)
    fold(plan, model)
    plain = MLPMixture(sizes[1])
    plain.load_state_dict(model.state_dict())
    assert torch.allclose(plain(inputs), expected, atol=1e-6)
    assert model.block.aggregation == 1 / 8


def test_what_cannot_be_folded():
    model, plan = make()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(UnsupportedCombination, match="this is a Linear"):
        fold(plan, torch.nn.Linear(3, 3))
    with pytest.raises(UnsupportedCombination, match=r"multiplies logits by 0\.5"):
        fold(make(head_multiplier=True)[1], model)
    with pytest.raises(InvalidProblem, match=r"residual is 0\.5, but the plan's is 0\.707107"):
        fold(make(depth_exponent=0.5)[1], model)
    with pytest.raises(InvalidProblem, match="has shape"):
        fold(plan, TransformerMixture(BASE))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
