"""What a coordinate check measures of a PyTorch model: activations, updates and gradients.

A `Recorder` keeps the initial weights and activations of a probe batch. At a later step it
measures, for every matrix with a role, the effective update (W_t - W_0) x_t and the propagating one
W_0 (x_t - x_0), and for every block of experts the four terms of the aggregate and of its adjoint.
"""

# pyright: reportMissingImports=false

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.func import functional_call

from orderparam.experts.rules.plan import ScalingPlan
from orderparam.experts.rules.role_rules import normalised
from orderparam.experts.rules.shape import Shape
from orderparam.experts.setup import Setup

Squares = dict[str, list[torch.Tensor]]
_TERMS = ("base", "prop", "eff", "cross")


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


class Recorder:
    """Measures one model at several steps of its training.

    Args:
        setup: The model; its experts are made to record while the probe runs.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.modules = dict(_linear_modules(setup.model, setup.plan))
        self.first: State | None = None

    def measure(self) -> dict[str, float]:
        """Run the probe and return every observable by name."""
        now = self._probe()
        if self.first is None:
            self.first = now
        squares: Squares = {}
        self._modules(squares, self.first, now)
        for prefix in self.setup.experts:
            _experts(squares, prefix, self.first, now, self.setup.plan.target)
        self._gradients(squares)
        found = {name: rms(parts) for name, parts in squares.items()}
        found["act/output"] = rms([now.output])
        found["loss"] = now.loss
        self.setup.model.zero_grad(set_to_none=True)
        return found

    def _probe(self) -> State:
        """Forward and backward pass on the probe, with everything recorded."""
        setup = self.setup
        inputs: dict[str, torch.Tensor] = {}
        outputs: dict[str, torch.Tensor] = {}
        hooks = [
            module.register_forward_hook(_keep(name, inputs, outputs))
            for name, module in self.modules.items()
        ]
        for block in setup.experts.values():
            block.recording = True
        setup.model.zero_grad(set_to_none=True)
        result = setup.model(setup.probe[0])
        loss = setup.loss(result, setup.probe[1])
        loss.backward()
        for hook in hooks:
            hook.remove()
        taps = {}
        for prefix, block in setup.experts.items():
            block.recording, taps[prefix] = False, block.tap
        weights = {
            normalised(name): p.detach().clone() for name, p in setup.model.named_parameters()
        }
        return State(inputs, outputs, weights, taps, result.detach(), float(loss.detach()))

    def _modules(self, squares: Squares, first: State, now: State) -> None:
        """Activations, effective and propagating updates of matrices by role."""
        plan = self.setup.plan
        for name, module in self.modules.items():
            if name not in now.inputs:
                continue
            weight = normalised(f"{name}.weight".lstrip("."))
            role = plan[weight].role
            squares.setdefault(f"act/{role}", []).append(now.outputs[name])
            change = now.weights[weight] - first.weights[weight]
            _add(squares, f"eff/{role}", _apply(module, change, now.inputs[name]))
            if now.inputs[name].is_floating_point():
                moved = now.inputs[name] - first.inputs[name]
                _add(squares, f"prop/{role}", _apply(module, first.weights[weight], moved))

    def _gradients(self, squares: Squares) -> None:
        """Gradients by role, and relative to the epsilon that the optimiser adds to them."""
        plan = self.setup.plan
        epsilon = {
            name: group["eps"]
            for group in self.setup.optimizer.param_groups
            if "eps" in group
            for name in group.get("name_list", ())
        }
        for name, parameter in self.setup.model.named_parameters():
            key = normalised(name)
            if parameter.grad is None:
                continue
            role = plan[key].role
            _add(squares, f"grad/{role}", parameter.grad)
            if key in epsilon:
                _add(squares, f"faithful/{role}", parameter.grad / epsilon[key])


def rms(parts: list[torch.Tensor]) -> float:
    """Root mean square over the entries of several tensors."""
    total = sum(float(part.detach().double().square().sum()) for part in parts)
    return (total / sum(part.numel() for part in parts)) ** 0.5


def _linear_modules(model: Any, plan: ScalingPlan) -> Iterator[tuple[str, Any]]:
    """Modules that apply one matrix with a role to their input."""
    entries = plan.by_name
    for name, module in model.named_modules():
        weight = getattr(module, "weight", None)
        key = normalised(f"{name}.weight".lstrip("."))
        if weight is not None and weight.ndim == 2 and key in entries:
            yield name, module


def _keep(name: str, inputs: dict[str, Any], outputs: dict[str, Any]) -> Any:
    """A hook that keeps input and output of a module."""

    def hook(module: Any, arguments: Any, output: Any) -> None:
        inputs[name], outputs[name] = arguments[0].detach(), output.detach()

    return hook


def _apply(module: Any, weight: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """What a module would give with another weight and without bias."""
    changed: dict[str, torch.Tensor] = {"weight": weight}
    if getattr(module, "bias", None) is not None:
        changed["bias"] = torch.zeros_like(module.bias)
    with torch.no_grad():
        return functional_call(module, changed, (x,))


def _experts(squares: Squares, prefix: str, first: State, now: State, shape: Shape) -> None:
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
            _add(squares, f"agg/{term}", value * tap.aggregation)
        _single(squares, "expert_in", (w_in0, w_in - w_in0), tap.input, tap.input - start.input)
        _single(squares, "expert_out", (w_out0, w_out - w_out0), tap.activation, moved)
        _add(squares, "act/o", _each(w_out, tap.activation))
        if tap.preactivation.grad is None:
            return
        signal, signal0 = tap.preactivation.grad, start.preactivation.grad
        count = len(tap.gates)  # the loss is a mean over the batch
        ones = torch.ones_like(tap.gates)
        for term, value in _products(
            ones, (w_in0.mT, (w_in - w_in0).mT), (signal0, signal - signal0)
        ).items():
            _add(squares, f"back/{term}", value * shape.width * count)
        sizes = shape.sizes
        _add(squares, "back/signal", signal * sizes["active"] * sizes["expert"] * count)


def _activations(squares: Squares, tap: Any) -> None:
    """Logits, their spread over experts, and activations."""
    _add(squares, "act/psi", tap.logits)
    _add(squares, "act/psi_spread", tap.logits.std(dim=-1))
    _add(squares, "act/u", tap.preactivation)
    _add(squares, "act/aggregate", tap.aggregate)
    used = (tap.gates > 0).any(dim=0).double().sum()
    share = tap.gates / tap.gates.sum(dim=-1, keepdim=True)
    entropy = -(share * torch.log(share.clamp_min(1e-30))).sum(dim=-1).mean()
    _add(squares, "router/used", used)
    _add(squares, "router/entropy", entropy)
    _add(squares, "router/gate_max", tap.gates.max())
    _add(squares, "router/gate_min", tap.gates.min())
    _add(squares, "router/load_max", (tap.gates > 0).double().mean(dim=0).max())


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
    _add(squares, f"eff/{role}", _each(change, now))
    _add(squares, f"prop/{role}", _each(initial, moved))


def _each(weight: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Mean squares of W_i v_i of each expert, as a tensor with the same root mean square."""
    squares = []
    for i, matrix in enumerate(weight):  # one expert at a time: all outputs together may not fit
        one = values if values.ndim == 2 else values[:, i]
        squares.append((one @ matrix.T).double().square().mean())
    return torch.stack(squares).sqrt()


def _add(squares: Squares, name: str, value: torch.Tensor) -> None:
    """Add entries to an observable."""
    squares.setdefault(name, []).append(value)
