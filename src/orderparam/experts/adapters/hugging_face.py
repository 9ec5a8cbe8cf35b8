"""Roles, sizes and gates of model families in Hugging Face `transformers`.

Only names, shapes and configurations are read here; nothing is imported from `transformers`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orderparam.errors import UnsupportedCombination
from orderparam.experts.rules.role_rules import Role, RoleRules
from orderparam.experts.rules.shape import Shape

if TYPE_CHECKING:
    from orderparam.experts.adapters.torch_plan import TorchPlan

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
_QK_NORM = ("qwen3_moe", "olmoe")


def role_rules(config: Any) -> RoleRules:
    """The role map of a model's family.

    Args:
        config: Configuration of the model; its `model_type` is the family.

    Raises:
        UnsupportedCombination: If there is no role map for the family.
    """
    family = config.model_type
    if family not in ROLE_MAPS:
        raise UnsupportedCombination(
            f"There is no role map for the family {family!r}; those of {', '.join(ROLE_MAPS)} are "
            "here. Write RoleRules for yours and use torch_plan."
        )
    rules = ROLE_MAPS[family]
    tied = getattr(config, "tie_word_embeddings", False)
    if family == "gpt2" and not tied:
        return RoleRules([("transformer.wte.weight", Role("input", axes="v o")), *rules[1:]])
    if family != "gpt2" and tied:
        return RoleRules([("*embed_tokens.weight", Role("tied_embedding", axes="v o")), *rules[1:]])
    return RoleRules(rules)


def config_shape(config: Any) -> Shape:
    """The sizes that a configuration describes.

    Args:
        config: Configuration of a family with a role map.
    """
    if config.model_type == "gpt2":
        return _gpt2_shape(config)
    heads = config.num_attention_heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    attention = kv = heads * head_dim
    widths: dict[str, int] = {}
    if config.model_type.startswith("deepseek"):
        head_dim = config.qk_nope_head_dim + config.qk_rope_head_dim
        attention = kv = heads * config.v_head_dim
        widths = {"kv_rank": config.kv_lora_rank}
        if config.q_lora_rank is not None:
            widths["q_rank"] = config.q_lora_rank
    else:
        kv = config.num_key_value_heads * head_dim
    experts = _first(config, "num_local_experts", "num_experts", "n_routed_experts")
    shared = _shared_width(config)
    if shared:
        widths["shared_expert"] = shared
    expert_width = _first(config, "moe_intermediate_size", "intermediate_size")
    return Shape(
        width=config.hidden_size,
        experts=experts,
        active=config.num_experts_per_tok if experts else None,
        expert_width=expert_width if experts else None,
        ffn_width=config.intermediate_size,
        layers=config.num_hidden_layers,
        head_dim=head_dim,
        attention_width=attention,
        kv_width=kv,
        widths=widths,
    )


def hugging_face_plan(model: Any, base_config: Any, **choices: Any) -> "TorchPlan":
    """Make a plan for a model of a known family.

    The gate normalises its weights in every family here, so that the sum over experts needs no
    factor.

    Args:
        model: The target, fresh and unwrapped; it may be on the meta device.
        base_config: Configuration of the tuned base model, of the same family.
        **choices: Arguments of `Recipe`.

    Raises:
        UnsupportedCombination: For a family without a role map.
        InvalidProblem: If names or shapes do not fit; the message names the parameter.
    """
    from orderparam.experts.adapters.torch_plan import torch_plan

    config = model.config
    if config.model_type != base_config.model_type:
        raise UnsupportedCombination(
            f"The base is a {base_config.model_type}, but the target a {config.model_type}; use a "
            "base of the same family."
        )
    defaults: dict[str, Any] = {"qk_norm": config.model_type in _QK_NORM}
    if _first(config, "num_local_experts", "num_experts", "n_routed_experts"):
        defaults["gate"] = "normalised"
    return torch_plan(
        model,
        role_rules(config),
        base=config_shape(base_config),
        target=config_shape(config),
        **{**defaults, **choices},
    )


def apply_forward_multipliers(model: Any, plan: "TorchPlan", base_config: Any) -> list[Any]:
    """Put a plan's forward multipliers into a model of a known family, by hooks.

    Attention scales become those of the base times the multiplier; outputs of attention and of
    feed-forward layers are multiplied on each residual branch, and the logits at the head. Hooks
    are not part of checkpoints: call this again after loading.

    Args:
        model: The model, before it is compiled or wrapped.
        plan: Its plan.
        base_config: Configuration of the base model.

    Returns:
        Handles of the hooks; `handle.remove()` takes one away.
    """
    given = plan.forward_multipliers
    handles = []
    grows = plan.base.head_dim != plan.target.head_dim
    base_scale = config_shape(base_config).sizes["head_dim"] ** -0.5
    for name, module in model.named_modules():
        last = name.rpartition(".")[2]
        if grows and last in ("self_attn", "attn") and hasattr(module, "scaling"):
            module.scaling = base_scale * given.attention
        branch = last in ("self_attn", "attn", "mlp")
        factor = given.residual if branch else given.logits if last == "lm_head" else 1.0
        if factor != 1.0:
            handles.append(module.register_forward_hook(_multiply(factor)))
    return handles


def _multiply(factor: float) -> Any:
    """A hook that multiplies the (first) output of a module."""

    def hook(module: Any, arguments: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (output[0] * factor, *output[1:])
        return output * factor

    return hook


def _first(config: Any, *names: str) -> Any:
    """The first of several keys that a configuration has."""
    return next((v for v in (getattr(config, n, None) for n in names) if v is not None), None)


def _shared_width(config: Any) -> int:
    """Hidden width of always-on shared experts, 0 without any."""
    if getattr(config, "n_shared_experts", None):
        return config.n_shared_experts * config.moe_intermediate_size
    return getattr(config, "shared_expert_intermediate_size", None) or 0


def _gpt2_shape(config: Any) -> Shape:
    """Sizes of GPT-2, whose configuration has names of its own."""
    return Shape(
        width=config.n_embd,
        ffn_width=config.n_inner or 4 * config.n_embd,
        layers=config.n_layer,
        head_dim=config.n_embd // config.n_head,
    )
