"""Plans for model families in Hugging Face `transformers`.

Only names, shapes and configurations are read here; nothing is imported from `transformers`.
"""

from typing import Any

from orderparam.errors import UnsupportedCombination
from orderparam.experts.adapters.hugging_face.forward import apply_forward_multipliers
from orderparam.experts.adapters.hugging_face.roles import ROLE_MAPS, residual_std
from orderparam.experts.adapters.pytorch.plan import TorchPlan, torch_plan
from orderparam.experts.rules.role_rules import Role, RoleRules
from orderparam.experts.rules.shape import Shape

__all__ = ["apply_forward_multipliers", "config_shape", "hugging_face_plan", "role_rules"]

_QK_NORM = ("qwen3_moe", "olmoe")


def role_rules(config: Any, base_layers: int | None = None) -> RoleRules:
    """The role map of a model's family.

    GPT-2 divides the std of what writes to the residual stream by sqrt(2 L); rules say so.

    Args:
        config: Configuration of the model; its `model_type` is the family.
        base_layers: Depth whose std GPT-2's branches start with, which is the base's where a rule
            for depth scales the branches; the model's own if `None`.

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
    if family == "gpt2":
        rules = residual_std(rules, config.n_layer, base_layers or config.n_layer)
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


def hugging_face_plan(model: Any, base_config: Any, **choices: Any) -> TorchPlan:
    """Make a plan for a model of a known family.

    Weights of experts come from a softmax over all of them, in DeepSeek-V3 from a sigmoid. Mixtral
    divides those of the chosen experts by their sum, as do OLMoE, Qwen2-MoE, Qwen3-MoE and
    DeepSeek-V3 if `norm_topk_prob` is true, which by default it is in DeepSeek-V3 alone;
    DeepSeek-V2 never does. Without that division weights do not sum to one, but to about the active
    share K / M at the start. Either way a weight of a softmax falls as 1 / K at a fixed share, so
    that the sum over experts needs no factor; a sigmoid without division does.

    Models whose own code adds a balancing loss (`output_router_logits`) are planned with
    `auxiliary_loss="scaled"`; `apply_forward_multipliers` scales its weight.

    Args:
        model: The target, fresh and unwrapped; it may be on the meta device.
        base_config: Configuration of the tuned base model, of the same family.
        **choices: Arguments of `Recipe`.

    Raises:
        UnsupportedCombination: For a family without a role map.
        InvalidProblem: If names or shapes do not fit; the message names the parameter.
    """
    config = model.config
    if config.model_type != base_config.model_type:
        raise UnsupportedCombination(
            f"The base is a {base_config.model_type}, but the target a {config.model_type}; use a "
            "base of the same family."
        )
    defaults: dict[str, Any] = {"qk_norm": config.model_type in _QK_NORM}
    if _first(config, "num_local_experts", "num_experts", "n_routed_experts"):
        defaults["gate"] = "normalised" if _normalised(config) else "unnormalised"
    if getattr(config, "output_router_logits", False):
        defaults["auxiliary_loss"] = "scaled"
    layers = None if choices.get("depth_exponent") is None else base_config.num_hidden_layers
    return torch_plan(
        model,
        role_rules(config, layers),
        base=config_shape(base_config),
        target=config_shape(config),
        **{**defaults, **choices},
    )


def _normalised(config: Any) -> bool:
    """Whether weights of experts fall as 1 / K: all but those of a sigmoid that is not divided."""
    sigmoid = config.model_type == "deepseek_v3"
    return not sigmoid or bool(config.norm_topk_prob)


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
