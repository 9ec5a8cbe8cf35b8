"""Forward multipliers of Hugging Face models stay what they are, whatever is done to the model."""

import copy
import math

import pytest
import torch
from transformers import AutoModelForCausalLM

from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.experts import ScalingWarning
from orderparam.experts.adapters.hugging_face.plan import (
    apply_forward_multipliers,
    hugging_face_plan,
)  # fmt: skip

pytestmark = pytest.mark.filterwarnings("ignore:The base has", "ignore:Depth changes")
TOKENS = torch.arange(8)[None]
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 2}  # heads of 16, then of 32


@pytest.fixture
def make(config, build):
    """A model of twice the width and depth, its plan and the base's configuration."""

    def made(family="llama", **choices):
        torch.manual_seed(0)
        base = config(family, 1)
        heads = {} if family == "gpt2" else HEADS
        model = build(config(family, 2, layers=4, **heads)).eval()
        settings = {"depth_exponent": 1.0, "head_multiplier": family != "gpt2", **choices}
        return model, hugging_face_plan(model, base, **settings), base

    return made


def logits(model):
    with torch.no_grad():
        return model(TOKENS).logits


def test_a_second_call_changes_nothing(make):
    model, plan, base = make()
    plain = logits(model)
    handles = apply_forward_multipliers(model, plan, base)
    once = logits(model)
    assert not torch.allclose(once, plain)
    assert len(apply_forward_multipliers(model, plan, base)) == len(handles) == 4 * 2 + 1
    assert torch.equal(logits(model), once)
    assert torch.equal(logits(copy.deepcopy(model)), once)
    # Half precision must not round the factors.
    assert model.to(torch.bfloat16).lm_head.forward_multiplier.dtype == torch.int32


def test_saved_and_loaded(tmp_path, make, build):
    model, plan, base = make()
    apply_forward_multipliers(model, plan, base)
    expected = logits(model)
    model.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    assert not torch.allclose(logits(loaded), expected, atol=1e-3)
    with pytest.raises(InvalidProblem, match="loaded without them"):
        plan.param_groups(loaded, lr=0.1)
    apply_forward_multipliers(loaded)
    assert torch.allclose(logits(loaded), expected, atol=1e-6)
    plan.param_groups(loaded, lr=0.1)
    # A state that holds factors does not fit a model without them.
    with pytest.raises(RuntimeError, match="forward_multiplier"):
        build(model.config).load_state_dict(model.state_dict())


def test_a_model_that_never_got_them_is_warned_of(make):
    model, plan, base = make()
    with pytest.warns(ScalingWarning, match="attention, residual, logits"):
        plan.param_groups(model, lr=0.1)
    with pytest.raises(InvalidProblem, match="holds no forward_multipliers"):
        apply_forward_multipliers(model)
    with pytest.raises(InvalidProblem, match="`base_config` is missing"):
        apply_forward_multipliers(model, plan)
    apply_forward_multipliers(model, plan, base)
    plan.param_groups(model, lr=0.1)


def test_the_scale_of_attention_in_every_parameterization(make):
    for choices, expected in (
        ({}, 16**-0.5 / 2),
        ({"qk_norm": True}, 16**-0.5),
        ({"parameterization": "sp", "depth_exponent": None}, 32**-0.5),
    ):
        model, plan, base = make(**choices)
        apply_forward_multipliers(model, plan, base)
        assert model.model.layers[0].self_attn.scaling == pytest.approx(expected)
    model, plan, base = make("gpt2")
    apply_forward_multipliers(model, plan, base)
    assert model.transformer.h[0].attn.scaling == pytest.approx(16**-0.5)
    bare, plan, base = make()
    for layer in bare.model.layers:
        del layer.self_attn.scaling
    with pytest.raises(UnsupportedCombination, match="no attention module"):
        apply_forward_multipliers(bare, plan, base)


def test_the_weight_of_the_balancing_loss(config, build):
    settings = {"output_router_logits": True, "router_aux_loss_coef": 0.02}
    base = config("mixtral", 1, **settings)
    model = build(config("mixtral", 2, **settings))
    plan = hugging_face_plan(model, base)
    assert plan.recipe.auxiliary_loss == "scaled"
    assert plan.forward_multipliers.auxiliary_loss == 0.5
    with pytest.warns(ScalingWarning, match="auxiliary_loss"):
        plan.param_groups(model, lr=0.1)
    with torch.no_grad():
        before = model(TOKENS, labels=TOKENS)
        for _ in range(2):
            apply_forward_multipliers(model, plan, base)
        after = model(TOKENS, labels=TOKENS)
    assert model.config.router_aux_loss_coef == 0.01
    change = (before.loss - after.loss).item()
    assert change == pytest.approx(0.01 * after.aux_loss.item(), rel=1e-3)
    plan.param_groups(model, lr=0.1)


def test_gates_whose_weights_do_not_fall_with_the_number_of_experts(config, build):
    assert not config("olmoe", 1).norm_topk_prob
    for family, normalised in (("qwen3_moe", False), ("deepseek_v3", True)):
        settings = [config(family, s, norm_topk_prob=normalised) for s in (2, 1)]
        plan = hugging_face_plan(build(settings[0]), settings[1])
        assert plan.forward_multipliers.aggregation == 1.0
    settings = [config("deepseek_v3", s, norm_topk_prob=False) for s in (2, 1)]
    model = build(settings[0])
    plan = hugging_face_plan(model, settings[1])
    assert plan.forward_multipliers.aggregation == 0.5
    with pytest.raises(UnsupportedCombination, match="no place"):
        apply_forward_multipliers(model, plan, settings[1])


def test_softmax_gates_without_division_keep_their_sum(config, build):
    """Their weights sum to about the active share, whatever the number of experts."""
    sums = []
    for scale in (1, 4):
        model = build(config("olmoe", scale))
        plan = hugging_face_plan(model, config("olmoe", 1))
        plan.initialize_(model, {"default": 0.02})
        gate = model.model.layers[0].mlp.gate
        gate.register_forward_hook(lambda m, a, out: sums.append(out[1].sum(dim=-1).mean().item()))
        logits(model)
    assert sums == pytest.approx([0.5, 0.5], rel=0.1)


@pytest.mark.parametrize(("depth", "layers"), [(None, 4), (1.0, 2)])
def test_gpt2_keeps_the_std_of_its_residual_branches(depth, layers, config, build):
    """By its own depth without a rule for depth, and by the base's with one."""
    base, target = config("gpt2", 1), config("gpt2", 2, layers=4)
    model = build(target)
    choices = {} if depth is None else {"depth_exponent": depth}
    plan = hugging_face_plan(model, base, **choices)
    for draw in (
        lambda: plan.initialize_(model, {"default": 0.02}),
        lambda: plan.rescale_(drawn(model, build), initialised="constant"),
    ):
        draw()
        block = model.transformer.h[1]
        wanted = 0.02 * 2**-0.5 / math.sqrt(2 * layers)
        for weight in (block.attn.c_proj.weight, block.mlp.c_proj.weight):
            assert weight.std().item() == pytest.approx(wanted, rel=0.05)
        assert block.mlp.c_fc.weight.std().item() == pytest.approx(0.02 * 2**-0.5, rel=0.05)
    plan.initialize_(model, {"default": 0.02, "attn_proj": 0.01})
    assert block.attn.c_proj.weight.std().item() == pytest.approx(0.01 * 2**-0.5, rel=0.05)


def drawn(model, build):
    """The model with what its own code draws."""
    model.load_state_dict(build(model.config).state_dict())
    return model


@pytest.mark.parametrize("family", ["mixtral", "deepseek_v3", "gpt2"])
def test_buffers_and_padding_after_the_meta_device(family, config, build):
    settings = config(family, 2)
    with torch.device("meta"):
        model = build(settings)
    plan = hugging_face_plan(model, config(family, 1))
    fresh = build(settings)
    model.to_empty(device="cpu").tie_weights()
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data.fill_(7)
    state = torch.get_rng_state()
    plan.initialize_(model, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    plan.initialize_(fresh, seed=3)
    for (name, one), (_, other) in zip(model.named_buffers(), fresh.named_buffers(), strict=True):
        assert torch.equal(one, other), name
    for (name, one), other in zip(model.named_parameters(), fresh.parameters(), strict=True):
        assert torch.equal(one, other), name
    if family != "gpt2":
        assert not model.get_input_embeddings().weight[2].any()
    assert torch.equal(logits(model.eval()), logits(fresh.eval()))
