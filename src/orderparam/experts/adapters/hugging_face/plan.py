"""Plans for model families in Hugging Face `transformers`.

Only names, shapes and configurations are read here; nothing is imported from `transformers`.
"""

from typing import Any

from orderparam.errors import UnsupportedCombination
from orderparam.experts.adapters.hugging_face.roles import ROLE_MAPS
from orderparam.experts.adapters.pytorch.plan import TorchPlan, torch_plan
from orderparam.experts.rules.role_rules import Role, RoleRules
from orderparam.experts.rules.shape import Shape

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


def hugging_face_plan(model: Any, base_config: Any, **choices: Any) -> TorchPlan:
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


def apply_forward_multipliers(model: Any, plan: TorchPlan, base_config: Any) -> list[Any]:
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
