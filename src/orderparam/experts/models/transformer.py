"""A small causal transformer whose feed-forward layers are blocks of experts."""

# pyright: reportMissingImports=false

import torch
from jaxtyping import Float, Int
from torch import nn
from torch.nn import functional

from orderparam.errors import InvalidProblem
from orderparam.experts.models.mixture import Experts
from orderparam.experts.rules.role_rules import Role, RoleRules
from orderparam.experts.rules.shape import Shape

TRANSFORMER_RULES = RoleRules(
    [
        ("tokens.weight", "input"),
        ("positions.weight", "input"),
        ("blocks.*.norm*.weight", "norm_gain"),
        ("blocks.*.qkv.weight", Role("attn_qkv", axes="(3 o) i")),
        ("blocks.*.proj.weight", "attn_proj"),
        ("blocks.*.experts.router.weight", "router"),
        ("blocks.*.experts.expert_in", Role("expert_in", axes="e o i")),
        ("blocks.*.experts.expert_out", Role("expert_out", axes="e o i")),
        ("norm.weight", "final_norm_gain"),
        ("head.weight", "head"),
    ]
)


class Block(nn.Module):
    """Attention and experts, each behind a norm and on a residual branch."""

    def __init__(
        self, shape: Shape, head_dim: int, aggregation: float | None, residual: float
    ) -> None:
        super().__init__()
        n, sizes = shape.width, shape.sizes
        self.norm1, self.norm2 = nn.RMSNorm(n, eps=1e-6), nn.RMSNorm(n, eps=1e-6)
        self.qkv = nn.Linear(n, 3 * n, bias=False)
        self.proj = nn.Linear(n, n, bias=False)
        self.experts = Experts(
            n, sizes["experts"], sizes["active"], sizes["expert"], aggregation=aggregation
        )
        self.head_dim, self.residual = head_dim, residual

    def forward(
        self, x: Float[torch.Tensor, "batch time width"]
    ) -> Float[torch.Tensor, "batch time width"]:
        """The stream after both branches."""
        qkv = self.qkv(self.norm1(x)).unflatten(-1, (3, -1, self.head_dim))
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.residual * self.proj(mixed.transpose(1, 2).flatten(2))
        return x + self.residual * self.experts(self.norm2(x))


class TransformerMixture(nn.Module):
    """Next-token logits.

    Args:
        shape: Sizes; `width` is a multiple of `head_dim`.
        vocabulary: Number of tokens.
        context: Largest length of a sequence.
        head_dim: Size of an attention head, fixed along a ladder.
        aggregation: Factor of the sum over experts; 1/K if `None`.
        residual: Factor of every branch.
    """

    def __init__(
        self,
        shape: Shape,
        vocabulary: int = 32,
        context: int = 32,
        *,
        head_dim: int = 16,
        aggregation: float | None = None,
        residual: float = 1.0,
    ) -> None:
        super().__init__()
        if shape.head_dim not in (None, head_dim):
            raise InvalidProblem(
                f"The Shape has head_dim = {shape.head_dim}, but the model's is {head_dim}; give "
                "the same to both, so that the plan knows the scale of attention."
            )
        if shape.width % head_dim:
            raise InvalidProblem(
                f"The width {shape.width} is no multiple of the head size {head_dim}; change one."
            )
        self.tokens = nn.Embedding(vocabulary, shape.width)
        self.positions = nn.Embedding(context, shape.width)
        self.blocks = nn.ModuleList(
            Block(shape, head_dim, aggregation, residual) for _ in range(shape.layers)
        )
        self.norm = nn.RMSNorm(shape.width, eps=1e-6)
        self.head = nn.Linear(shape.width, vocabulary, bias=False)

    def forward(
        self, tokens: Int[torch.Tensor, "batch time"]
    ) -> Float[torch.Tensor, "batch time vocabulary"]:
        """Logits of the next token at every position."""
        x = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))
