"""Tests of what needs PyTorch; `make test-torch` installs it and runs them."""

import importlib.util

import pytest

# Without PyTorch these files cannot even be imported; `make test` runs without it on purpose.
collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["*.py"]


@pytest.fixture
def config():
    """A tiny configuration of a Hugging Face family: `config(family, scale, layers=2, ...)`."""
    return _config


@pytest.fixture
def build():
    """A causal language model of a configuration."""
    return _build


def _config(family, scale, layers=2, **changes):
    """A tiny configuration; sizes that scale are multiples of `scale`."""
    from transformers import models as families

    s = scale
    common = {
        "vocab_size": 50, "hidden_size": 32 * s, "num_hidden_layers": layers,
        "num_attention_heads": 2 * s, "num_key_value_heads": 2 * s if "deep" in family else s,
        "max_position_embeddings": 32, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2,
    }  # fmt: skip
    experts = {"num_experts_per_tok": 2 * s, "moe_intermediate_size": 16 * s}
    latent = {
        "n_routed_experts": 4 * s, "n_shared_experts": 1, "n_group": 1, "topk_group": 1,
        "first_k_dense_replace": 1, "q_lora_rank": 8 * s, "kv_lora_rank": 6 * s,
        "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 16, "intermediate_size": 48 * s,
    }  # fmt: skip
    own = {
        "mixtral": {"num_local_experts": 4 * s, "num_experts_per_tok": 2 * s,
                    "intermediate_size": 16 * s},
        "qwen2_moe": {**experts, "num_experts": 4 * s, "intermediate_size": 48 * s,
                      "shared_expert_intermediate_size": 24 * s},
        "qwen3_moe": {**experts, "num_experts": 4 * s, "intermediate_size": 48 * s, "head_dim": 16},
        "olmoe": {"num_experts": 4 * s, "num_experts_per_tok": 2 * s, "intermediate_size": 16 * s},
        "deepseek_v2": {**experts, **latent},
        "deepseek_v3": {**experts, **latent},
        "llama": {"intermediate_size": 48 * s},
    }  # fmt: skip
    kinds = {
        "mixtral": families.MixtralConfig, "qwen2_moe": families.Qwen2MoeConfig,
        "qwen3_moe": families.Qwen3MoeConfig, "olmoe": families.OlmoeConfig,
        "deepseek_v2": families.DeepseekV2Config, "deepseek_v3": families.DeepseekV3Config,
        "llama": families.LlamaConfig,
    }  # fmt: skip
    if family == "gpt2":
        return families.GPT2Config(
            n_embd=32 * s, n_layer=layers, n_head=2 * s, vocab_size=50, n_positions=32,
            bos_token_id=0, eos_token_id=1, **changes,
        )  # fmt: skip
    return kinds[family](**{**common, **own[family], **changes})


def _build(settings):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_config(settings)
