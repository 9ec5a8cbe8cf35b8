"""What a coordinate check measures of a PyTorch model: activations, updates and gradients.

A `Recorder` keeps the initial weights and activations of a probe batch. At a later step it
measures, for every matrix with a role, the effective update (W_t - W_0) x_t and the propagating one
W_0 (x_t - x_0), and for every block of experts the four terms of the aggregate and of its adjoint.
"""

# pyright: reportMissingImports=false

from collections.abc import Iterator
from typing import Any

import torch
from torch.func import functional_call

from orderparam.experts.experiment.terms import Squares, State, add, add_experts
from orderparam.experts.models.setup import Setup
from orderparam.experts.rules.plan import ScalingPlan
from orderparam.experts.rules.role_rules import normalised


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
            add_experts(squares, prefix, self.first, now, self.setup.plan.target)
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
            add(squares, f"eff/{role}", _apply(module, change, now.inputs[name]))
            if now.inputs[name].is_floating_point():
                moved = now.inputs[name] - first.inputs[name]
                add(squares, f"prop/{role}", _apply(module, first.weights[weight], moved))

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
            add(squares, f"grad/{role}", parameter.grad)
            if key in epsilon:
                add(squares, f"faithful/{role}", parameter.grad / epsilon[key])


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
