"""Role maps of Hugging Face model families, from the names of their parameters."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from orderparam.experts.rules.role_rules import Role

Rule = tuple[str, Role | str]


def _maybe(name: str, **details: Any) -> Role:
    """A role that some configurations of a family do not have."""
    return Role(name, optional=True, **details)


_FRAME: list[Rule] = [
    ("*embed_tokens.weight", Role("input", axes="v o")),
    ("model.norm.weight", "final_norm_gain"),
    ("lm_head.weight", Role("head", axes="x i", optional=True)),
    ("*.input_layernorm.weight", "norm_gain"),
    ("*.post_attention_layernorm.weight", "norm_gain"),
]
_ATTENTION: list[Rule] = [
    ("*.self_attn.q_proj.weight", "attn_q"),
    ("*.self_attn.q_proj.bias", _maybe("bias", hidden="attention")),
    ("*.self_attn.k_proj.weight", "attn_kv"),
    ("*.self_attn.v_proj.weight", "attn_kv"),
    ("*.self_attn.k_proj.bias", _maybe("bias", hidden="kv")),
    ("*.self_attn.v_proj.bias", _maybe("bias", hidden="kv")),
    ("*.self_attn.o_proj.weight", "attn_proj"),
    ("*.self_attn.o_proj.bias", _maybe("bias")),
]
_EXPERTS: list[Rule] = [
    ("*.mlp.gate.weight", "router"),
    ("*.mlp.experts.gate_up_proj", Role("expert_in", axes="e (2 o) i")),
    ("*.mlp.experts.down_proj", Role("expert_out", axes="e o i")),
]


def _dense(prefix: str, hidden: str | None = None, *, optional: bool = False) -> list[Rule]:
    """The three matrices of a gated feed-forward layer, with biases where there are any."""
    into = Role("ffn_in", hidden=hidden, optional=optional)
    return [
        (f"{prefix}.gate_proj.weight", into),
        (f"{prefix}.up_proj.weight", into),
        (f"{prefix}.down_proj.weight", Role("ffn_out", hidden=hidden, optional=optional)),
        (f"{prefix}.gate_proj.bias", _maybe("bias", hidden=hidden or "ffn")),
        (f"{prefix}.up_proj.bias", _maybe("bias", hidden=hidden or "ffn")),
        (f"{prefix}.down_proj.bias", _maybe("bias")),
    ]


def _qk_norm(query: str, key: str) -> list[Rule]:
    """Gains of normalised queries and keys."""
    return [
        ("*.self_attn.q_norm.weight", Role("norm_gain", hidden=query)),
        ("*.self_attn.k_norm.weight", Role("norm_gain", hidden=key)),
    ]


_LATENT: list[Rule] = [
    ("*.self_attn.q_proj.weight", _maybe("attn_q", axes="x i")),
    ("*.self_attn.q_a_proj.weight", _maybe("low_rank_in", hidden="q_rank")),
    ("*.self_attn.q_a_layernorm.weight", _maybe("norm_gain", hidden="q_rank")),
    ("*.self_attn.q_b_proj.weight", _maybe("low_rank_out", hidden="q_rank")),
    ("*.self_attn.kv_a_proj_with_mqa.weight", Role("low_rank_in", axes="x i", hidden="kv_rank")),
    ("*.self_attn.kv_a_layernorm.weight", Role("norm_gain", hidden="kv_rank")),
    ("*.self_attn.kv_b_proj.weight", Role("low_rank_out", hidden="kv_rank")),
    ("*.self_attn.o_proj.weight", "attn_proj"),
]
_SHARED_EXPERT: list[Rule] = [
    *_dense("*.mlp.shared_expert", "shared_expert"),
    ("*.mlp.shared_expert_gate.weight", "gate"),
]
_DEEPSEEK: list[Rule] = [
    *_FRAME,
    *_LATENT,
    *_EXPERTS,
    *_dense("*.mlp.shared_experts", "shared_expert", optional=True),
    *_dense("*.mlp", optional=True),
]


def residual_std(rules: list[Rule], layers: int, base_layers: int) -> list[Rule]:
    """Rules of GPT-2, whose code starts `c_proj` with a std divided by sqrt(2 L)."""
    factors = {"std_factor": (2 * base_layers) ** -0.5, "own_factor": (2 * layers) ** -0.5}
    return [
        (pattern, replace(role, **factors))
        if isinstance(role, Role) and pattern.endswith("c_proj.weight")
        else (pattern, role)
        for pattern, role in rules
    ]


_GPT2: list[Rule] = [
    ("transformer.wte.weight", Role("tied_embedding", axes="v o")),
    ("transformer.wpe.weight", Role("input", axes="v o")),
    ("*.attn.c_attn.weight", Role("attn_qkv", axes="i (3 o)")),
    ("*.attn.c_attn.bias", Role("bias", axes="(3 o)", hidden="attention")),
    ("*.attn.c_proj.weight", Role("attn_proj", axes="i o")),
    ("*.attn.c_proj.bias", "bias"),
    ("*.mlp.c_fc.weight", Role("ffn_in", axes="i o")),
    ("*.mlp.c_fc.bias", Role("bias", hidden="ffn")),
    ("*.mlp.c_proj.weight", Role("ffn_out", axes="i o")),
    ("*.mlp.c_proj.bias", "bias"),
    ("transformer.ln_f.weight", "final_norm_gain"),
    ("transformer.ln_f.bias", "final_bias"),
    ("*.ln_1.weight", "norm_gain"),
    ("*.ln_2.weight", "norm_gain"),
    ("*.ln_1.bias", "bias"),
    ("*.ln_2.bias", "bias"),
    ("lm_head.weight", _maybe("head", axes="x i")),
]
ROLE_MAPS: Mapping[str, list[Rule]] = {
    "mixtral": [*_FRAME, *_ATTENTION, *_EXPERTS],
    "qwen2_moe": [
        *_FRAME, *_ATTENTION, *_EXPERTS, *_SHARED_EXPERT, *_dense("*.mlp", optional=True),
    ],
    "qwen3_moe": [
        *_FRAME, *_ATTENTION, *_EXPERTS, *_qk_norm("head_dim", "head_dim"),
        *_dense("*.mlp", optional=True),
    ],
    "olmoe": [*_FRAME, *_ATTENTION, *_EXPERTS, *_qk_norm("attention", "kv")],
    "deepseek_v2": _DEEPSEEK,
    "deepseek_v3": _DEEPSEEK,
    "gpt2": _GPT2,
    "llama": [*_FRAME, *_ATTENTION, *_dense("*.mlp")],
}  # fmt: skip
