"""What is measured of marked blocks of experts: the terms of their sum and of its adjoint."""

# pyright: reportMissingImports=false

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from orderparam.experts.rules.shape import Shape

_TERMS = ("base", "prop", "eff", "cross")

Squares = dict[str, list[torch.Tensor]]


@dataclass
class State:
    """Everything that one probe leaves behind.

    Args:
        inputs: Input of every module that owns a matrix with a role.
        outputs: Their outputs.
        weights: Value of every parameter.
        taps: What blocks of experts recorded, with gradients.
        output: Output of the model.
        loss: Its loss.
    """

    inputs: dict[str, torch.Tensor]
    outputs: dict[str, torch.Tensor]
    weights: dict[str, torch.Tensor]
    taps: dict[str, Any]
    output: torch.Tensor
    loss: float


def add_experts(squares: Squares, prefix: str, first: State, now: State, shape: Shape) -> None:
    """Terms of the aggregate and of its adjoint, and activations of single experts."""
    tap, start = now.taps[prefix], first.taps[prefix]
    with torch.no_grad():
        _activations(squares, tap)
        w_in, w_in0 = (state.weights[f"{prefix}.expert_in"] for state in (now, first))
        w_out, w_out0 = (state.weights[f"{prefix}.expert_out"] for state in (now, first))
        moved = tap.activation - start.activation
        for term, value in _products(
            tap.gates, (w_out0, w_out - w_out0), (start.activation, moved)
        ).items():
            add(squares, f"agg/{term}", value * tap.aggregation)
        _single(squares, "expert_in", (w_in0, w_in - w_in0), tap.input, tap.input - start.input)
        _single(squares, "expert_out", (w_out0, w_out - w_out0), tap.activation, moved)
        add(squares, "act/o", _each(w_out, tap.activation))
        if tap.preactivation.grad is None:
            return
        signal, signal0 = tap.preactivation.grad, start.preactivation.grad
        count = len(tap.gates)  # the loss is a mean over the batch
        ones = torch.ones_like(tap.gates)
        for term, value in _products(
            ones, (w_in0.mT, (w_in - w_in0).mT), (signal0, signal - signal0)
        ).items():
            add(squares, f"back/{term}", value * shape.width * count)
        sizes = shape.sizes
        add(squares, "back/signal", signal * sizes["active"] * sizes["expert"] * count)


def _activations(squares: Squares, tap: Any) -> None:
    """Logits, their spread over experts, and activations."""
    add(squares, "act/psi", tap.logits)
    add(squares, "act/psi_spread", tap.logits.std(dim=-1))
    add(squares, "act/u", tap.preactivation)
    add(squares, "act/aggregate", tap.aggregate)
    used = (tap.gates > 0).any(dim=0).double().sum()
    share = tap.gates / tap.gates.sum(dim=-1, keepdim=True)
    entropy = -(share * torch.log(share.clamp_min(1e-30))).sum(dim=-1).mean()
    add(squares, "router/used", used)
    add(squares, "router/entropy", entropy)
    add(squares, "router/gate_max", tap.gates.max())
    add(squares, "router/gate_min", tap.gates.min())
    add(squares, "router/load_max", (tap.gates > 0).double().mean(dim=0).max())


def _products(
    gates: torch.Tensor, weights: tuple[torch.Tensor, ...], values: tuple[torch.Tensor, ...]
) -> Mapping[str, torch.Tensor]:
    """Sum over experts of gate W v for initial and changed W and v."""
    (w0, dw), (v0, dv) = weights, values
    pairs = ((w0, v0), (w0, dv), (dw, v0), (dw, dv))
    # As one matrix product: the experts and their hidden neurons are summed together.
    return {
        term: (gates[..., None] * v).flatten(1) @ w.transpose(1, 2).flatten(0, 1)
        for term, (w, v) in zip(_TERMS, pairs, strict=True)
    }


def _single(
    squares: Squares,
    role: str,
    weights: tuple[torch.Tensor, torch.Tensor],
    now: torch.Tensor,
    moved: torch.Tensor,
) -> None:
    """Effective and propagating update of every expert by itself."""
    initial, change = weights
    add(squares, f"eff/{role}", _each(change, now))
    add(squares, f"prop/{role}", _each(initial, moved))


def _each(weight: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Mean squares of W_i v_i of each expert, as a tensor with the same root mean square."""
    squares = []
    for i, matrix in enumerate(weight):  # one expert at a time: all outputs together may not fit
        one = values if values.ndim == 2 else values[:, i]
        squares.append((one @ matrix.T).double().square().mean())
    return torch.stack(squares).sqrt()


def add(squares: Squares, name: str, value: torch.Tensor) -> None:
    """Add entries to an observable."""
    squares.setdefault(name, []).append(value)
