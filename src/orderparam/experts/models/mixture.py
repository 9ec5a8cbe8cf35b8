"""A block of experts with a router, as small as a check of scaling needs it."""

# pyright: reportMissingImports=false

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import nn
from torch.nn import functional

from orderparam.errors import InvalidProblem

GATES = ("sigmoid", "softmax")


@dataclass
class Tap:
    """What a block of experts computed on its last input.

    Args:
        input: Input of router and experts.
        logits: Of the router.
        gates: Weights of the experts, zero where an expert is not selected.
        preactivation: Of every expert's hidden neurons; its `grad` is filled by the backward pass.
        activation: The same after the activation.
        aggregate: Weighted sum over experts, times the factor.
        aggregation: That factor.
    """

    input: torch.Tensor
    logits: torch.Tensor
    gates: torch.Tensor
    preactivation: torch.Tensor
    activation: torch.Tensor
    aggregate: torch.Tensor
    aggregation: float


class Experts(nn.Module):
    """Router and experts: sum over active i of gate_i W_out,i gelu(W_in,i x), times a factor.

    Args:
        width: N, size of input and output.
        experts: M.
        active: K; all experts are used (soft routing) if K = M.
        expert_width: N_e.
        gate: `sigmoid`, or `softmax` over the selected experts.
        aggregation: Factor of the sum; 1/K for sigmoid gates if `None`, else 1.
        jitter: Std of noise on the logits that selects experts, which breaks ties.
    """

    def __init__(
        self,
        width: int,
        experts: int,
        active: int,
        expert_width: int,
        *,
        gate: str = "sigmoid",
        aggregation: float | None = None,
        jitter: float = 0.0,
    ) -> None:
        super().__init__()
        if gate not in GATES or not 1 <= active <= experts:
            raise InvalidProblem(
                f"Experts need a gate out of {', '.join(GATES)} and 1 <= active <= experts, but "
                f"have gate {gate!r}, active = {active}, experts = {experts}; correct them."
            )
        self.router = nn.Linear(width, experts, bias=False)
        self.expert_in = nn.Parameter(torch.randn(experts, expert_width, width) * width**-0.5)
        self.expert_out = nn.Parameter(
            torch.randn(experts, width, expert_width) * expert_width**-0.5
        )
        self.active, self.gate, self.jitter = active, gate, jitter
        self.aggregation = self.natural if aggregation is None else aggregation
        self.recording = False
        self.tap: Tap | None = None

    @property
    def natural(self) -> float:
        """The factor of the sum where none is given."""
        return 1.0 / self.active if self.gate == "sigmoid" else 1.0

    def forward(
        self, x: Float[torch.Tensor, "*batch width"]
    ) -> Float[torch.Tensor, "*batch width"]:
        """The weighted sum over experts."""
        flat = x.reshape(-1, x.shape[-1])
        logits = self.router(flat)
        gates = self.gates(logits)
        hidden = functional.linear(flat, self.expert_in.flatten(0, 1))
        preactivation = hidden.unflatten(-1, self.expert_in.shape[:2])
        activation = functional.gelu(preactivation)
        weighted = (gates[..., None] * activation).flatten(1)
        out = self.aggregation * weighted @ self.expert_out.transpose(1, 2).flatten(0, 1)
        if self.recording:
            if preactivation.requires_grad:
                preactivation.retain_grad()
            self.tap = Tap(flat, logits, gates, preactivation, activation, out, self.aggregation)
        return out.reshape(x.shape)

    def gates(
        self, logits: Float[torch.Tensor, "batch expert"]
    ) -> Float[torch.Tensor, "batch expert"]:
        """Weights of the experts for each input."""
        chosen = self.selected(logits)
        if self.gate == "softmax":
            return torch.softmax(logits.masked_fill(~chosen, -torch.inf), dim=-1)
        return torch.sigmoid(logits) * chosen

    def selected(self, logits: Float[torch.Tensor, "batch expert"]) -> torch.Tensor:
        """Which experts each input uses."""
        if self.active == logits.shape[-1]:
            return torch.ones_like(logits, dtype=torch.bool)
        noisy = logits + self.jitter * torch.randn_like(logits) if self.jitter else logits
        best = noisy.detach().topk(self.active, dim=-1).indices
        return torch.zeros_like(logits, dtype=torch.bool).scatter(-1, best, True)


def balancing_loss(
    logits: Float[torch.Tensor, "batch expert"], selected: torch.Tensor, *, normalised: bool
) -> torch.Tensor:
    """Load balancing M sum_i F_i P_i, with F_i the share of inputs and P_i the mean probability.

    Args:
        logits: Of the router.
        selected: Which experts each input uses, or gates that stand for it under soft routing.
        normalised: Whether F is divided by its sum K, which makes the gradient per logit shrink
            with the number of experts as that of the task does; P sums to one in any case.
    """
    share = selected.float().mean(dim=0).detach()
    probability = torch.softmax(logits, dim=-1).mean(dim=0)
    if normalised:
        share = share / share.sum()
    return logits.shape[-1] * (share * probability).sum()
