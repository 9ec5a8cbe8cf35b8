"""Plans for tiny random models of the Hugging Face families."""

import copy

import pytest
import torch
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments
from transformers import models as families

from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.experts import ScalingWarning
from orderparam.experts.adapters.hugging_face.plan import (
    apply_forward_multipliers,
    config_shape,
    hugging_face_plan,
    role_rules,
)  # fmt: skip
from orderparam.experts.adapters.pytorch.plan import TorchPlan, torch_plan

FAMILIES = (
    "mixtral", "qwen2_moe", "qwen3_moe", "olmoe", "deepseek_v2", "deepseek_v3", "gpt2", "llama",
)  # fmt: skip
pytestmark = pytest.mark.filterwarnings("ignore:The base has")


@pytest.mark.parametrize("family", FAMILIES)
def test_every_parameter_of_a_family_gets_its_role(family, config, build):
    model = build(config(family, 2))
    plan = hugging_face_plan(model, config(family, 1), parameterization="mup")
    roles = {name: plan[name].role for name, _ in model.named_parameters()}
    assert len(roles) == len(list(model.parameters()))
    assert "frozen" not in roles.values()
    for entry in plan.entries:
        if entry.role in ("expert_in", "expert_out", "router", "ffn_in", "attn_q", "low_rank_in"):
            assert entry.learning_rate == 0.5, entry
            assert entry.fan_in == (32 if entry.role == "expert_out" else 64)
    assert plan.regime == ("dense" if family in ("gpt2", "llama") else "III")
    assert plan.forward_multipliers.aggregation == 1.0
    assert plan.forward_multipliers.logits == (0.5 if family == "gpt2" else 1.0)


def test_parts_that_other_tools_forget(config, build):
    plan = hugging_face_plan(build(config("deepseek_v3", 2)), config("deepseek_v3", 1))
    at = "model.layers.1."
    assert plan[at + "self_attn.q_b_proj.weight"].role == "low_rank_out"
    assert plan[at + "self_attn.q_b_proj.weight"].fan_in == 16
    assert plan[at + "self_attn.kv_a_layernorm.weight"].ratios["h"] == 2.0
    assert plan[at + "mlp.shared_experts.up_proj.weight"].role == "ffn_in"
    assert plan["model.layers.0.mlp.down_proj.weight"].role == "ffn_out"
    assert not any("correction_bias" in entry.name for entry in plan.entries)
    fixed = config("deepseek_v3", 2, q_lora_rank=8, kv_lora_rank=6)
    plan = hugging_face_plan(build(fixed), config("deepseek_v3", 1))
    assert plan[at + "self_attn.q_b_proj.weight"].learning_rate == 1.0
    plan = hugging_face_plan(build(config("qwen2_moe", 2)), config("qwen2_moe", 1))
    gate = plan["model.layers.0.mlp.shared_expert_gate.weight"]
    assert (gate.role, gate.std, gate.learning_rate, gate.epsilon) == ("gate", 0.5, 0.5, 1.0)
    # Two key-value heads at every size: their values collect signals of more and more queries.
    wide, small = (config("mixtral", s, num_key_value_heads=2) for s in (2, 1))
    entry = hugging_face_plan(build(wide), small)["model.layers.0.self_attn.k_proj.weight"]
    assert (entry.role, entry.learning_rate, entry.epsilon) == ("attn_kv", 0.5, 1.0)
    # Gains of the norm inside a head of fixed size belong to that size.
    plan = hugging_face_plan(build(config("qwen3_moe", 2)), config("qwen3_moe", 1))
    assert plan["model.layers.0.self_attn.q_norm.weight"].epsilon == 1.0
    plan = hugging_face_plan(build(config("olmoe", 2)), config("olmoe", 1))
    assert plan["model.layers.0.self_attn.q_norm.weight"].epsilon == 0.5


def test_families_and_names_without_a_role(config, build):
    with pytest.raises(UnsupportedCombination, match="no role map for the family 'opt'"):
        role_rules(families.OPTConfig())
    model = build(config("mixtral", 2))
    model.model.layers[0].extra = torch.nn.Linear(4, 4)
    with pytest.raises(InvalidProblem, match=r"model\.layers\.0\.extra\.weight"):
        hugging_face_plan(model, config("mixtral", 1))
    with pytest.raises(UnsupportedCombination, match="same family"):
        hugging_face_plan(build(config("olmoe", 2)), config("mixtral", 1))
    with pytest.raises(InvalidProblem, match="the Shape says"):
        torch_plan(
            build(config("mixtral", 2)), role_rules(config("mixtral", 1)),
            base=config_shape(config("mixtral", 1)), target=config_shape(config("mixtral", 1)),
        )  # fmt: skip


def test_tied_embeddings(config, build):
    settings = config("llama", 2, tie_word_embeddings=True)
    plan = hugging_face_plan(build(settings), config("llama", 1, tie_word_embeddings=True))
    assert plan["model.embed_tokens.weight"].role == "tied_embedding"
    assert plan.forward_multipliers.logits == 0.5


def test_forward_multipliers_reach_the_model(config, build):
    torch.manual_seed(0)
    base = config("llama", 1)
    deep = config("llama", 2, layers=4, num_attention_heads=2, num_key_value_heads=2)
    model = build(deep).eval()
    plan = hugging_face_plan(model, base, depth_exponent=1.0, head_multiplier=True)
    tokens = torch.arange(8)[None]
    before = model(tokens).logits.detach()
    captured = {}
    layer = model.model.layers[1]
    layer.mlp.register_forward_hook(lambda m, a, out: captured.setdefault("before", out))
    handles = apply_forward_multipliers(model, plan, base)
    layer.mlp.register_forward_hook(lambda m, a, out: captured.setdefault("after", out))
    after = model(tokens).logits.detach()
    assert layer.self_attn.scaling == pytest.approx(16**-0.5 / 2)
    assert torch.allclose(captured["after"], captured["before"] * 0.5)
    assert float(after.std() / before.std()) == pytest.approx(0.5, rel=0.2)
    assert len(handles) == 4 * 2 + 1


def batches(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(0, 50, (count, 1), generator=generator)
    tokens = (first + 3 * torch.arange(16)) % 50
    return [{"input_ids": row, "labels": row} for row in tokens]


def test_a_mixtral_planned_initialised_trained_saved_and_resumed(tmp_path, config, build):
    settings = config("mixtral", 2)
    with torch.device("meta"):
        empty = build(settings)
    plan = hugging_face_plan(empty, config("mixtral", 1), parameterization="mssp")
    assert plan["model.layers.0.mlp.experts.down_proj"].groups == 1
    model = build(settings)
    plan.initialize_(model, {"default": 0.05, "head": 0.02, "input": 1.0}, seed=1)
    experts = model.model.layers[1].mlp.experts.down_proj.detach()
    assert torch.equal(experts, experts[:1].expand_as(experts))
    optimizer = torch.optim.AdamW(plan.param_groups(model, lr=0.01, weight_decay=0.01))
    arguments = TrainingArguments(
        output_dir=str(tmp_path / "run"), max_steps=6, per_device_train_batch_size=8, save_steps=3,
        logging_steps=1, report_to=[], max_grad_norm=0.0, use_cpu=True,
        train_sampling_strategy="sequential", dataloader_pin_memory=False,
        lr_scheduler_type="constant",
    )  # fmt: skip
    plan.check_clipping(arguments.max_grad_norm)
    schedule = plan.schedule(optimizer, [1.0] * 4 + [0.5, 0.25])
    trainer = Trainer(model, arguments, train_dataset=batches(64), optimizers=(optimizer, schedule))
    trainer.train()
    plan.check_optimizer(trainer.optimizer.optimizer)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert losses[-1] < losses[0]
    after = model.model.layers[1].mlp.experts.down_proj.detach()
    assert not torch.equal(after[0], after[1])

    plan.save(tmp_path / "run" / "plan.json")
    loaded = TorchPlan.load(tmp_path / "run" / "plan.json")
    assert loaded.fingerprint() == plan.fingerprint()
    # Not from the configuration: the trainer alone leaves the experts out when it resumes.
    saved = str(tmp_path / "run" / "checkpoint-3")
    again = AutoModelForCausalLM.from_pretrained(saved)
    optimizer = torch.optim.AdamW(loaded.param_groups(again, lr=0.01, weight_decay=0.01))
    schedule = loaded.schedule(optimizer, [1.0] * 4 + [0.5, 0.25])
    trainer = Trainer(again, arguments, train_dataset=batches(64), optimizers=(optimizer, schedule))
    trainer.train(resume_from_checkpoint=saved)
    loaded.check_optimizer(trainer.optimizer.optimizer)
    for (name, one), other in zip(model.named_parameters(), again.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-6), name


def test_clipping_of_the_trainer_is_warned_of(tmp_path, config, build):
    plan = hugging_face_plan(build(config("llama", 2)), config("llama", 1))
    with pytest.warns(ScalingWarning, match="max_grad_norm=0"):
        plan.check_clipping(TrainingArguments(output_dir=str(tmp_path)).max_grad_norm)
    assert copy.deepcopy(plan) == plan
