"""The reference model of mixture-of-experts scaling: input layer, one block of experts, head."""

# pyright: reportMissingImports=false

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import nn
from torch.nn import functional

from orderparam.experts.models.mixture import Experts
from orderparam.experts.rules.role_rules import Role, RoleRules
from orderparam.experts.rules.shape import Shape

MLP_RULES = RoleRules(
    [
        ("input.weight", "input"),
        ("block.router.weight", "router"),
        ("block.expert_in", Role("expert_in", axes="e o i")),
        ("block.expert_out", Role("expert_out", axes="e o i")),
        ("head.weight", "head"),
    ]
)


class MLPMixture(nn.Module):
    """f(x) = head(a chi + Experts(a)), a = gelu(W x / sqrt(D)).

    Args:
        shape: Sizes of the model.
        inputs: D.
        outputs: C.
        gate: `sigmoid` or `softmax`.
        aggregation: Factor of the sum over experts; 1/K for sigmoid gates if `None`.
        residual: chi, whether the block has a residual connection.
        jitter: Noise on the logits that selects experts.
    """

    def __init__(
        self,
        shape: Shape,
        inputs: int = 64,
        outputs: int = 10,
        *,
        gate: str = "sigmoid",
        aggregation: float | None = None,
        residual: bool = False,
        jitter: float = 0.0,
    ) -> None:
        super().__init__()
        sizes = shape.sizes
        self.input = nn.Linear(inputs, shape.width, bias=False)
        self.block = Experts(
            shape.width, sizes["experts"], sizes["active"], sizes["expert"],
            gate=gate, aggregation=aggregation, jitter=jitter,
        )  # fmt: skip
        self.head = nn.Linear(shape.width, outputs, bias=False)
        self.residual = residual

    def forward(self, x: Float[torch.Tensor, "batch input"]) -> Float[torch.Tensor, "batch output"]:
        """The outputs; inputs have entries of order one."""
        hidden = functional.gelu(self.input(x * x.shape[-1] ** -0.5))
        mixed = self.block(hidden)
        return self.head(hidden + mixed if self.residual else mixed)


def mlp_base_std(base: Shape) -> dict[str, float]:
    """Std of the base model by role: 1/N for the head, 1 for the input, 1/sqrt(fan-in) else."""
    return {"head": 1 / base.width, "input": 1.0}


def natural_rates(base: Shape, optimizer: str, factor: float) -> Mapping[str, float]:
    """Learning rates of the base by role at which updates have their natural size, times a factor.

    For SGD an update of 1/fan-in divided by the size of the gradient, for Adam 1/fan-in.
    """
    n, e, k = base.width, base.sizes["expert"], base.sizes["active"]
    update = {"input": 1.0, "router": 1 / n, "expert_in": 1 / n, "expert_out": 1 / e, "head": 1 / n}
    signal = {
        "input": 1 / n, "router": 1 / k, "expert_in": 1 / (k * e), "expert_out": 1 / (k * n),
        "head": 1.0,
    }  # fmt: skip
    sgd = optimizer == "sgd"
    return {role: factor * size / (signal[role] if sgd else 1.0) for role, size in update.items()}
