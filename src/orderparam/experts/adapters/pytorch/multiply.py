"""Factors of the forward pass, kept in a module: its state holds them, and a hook applies them."""

# pyright: reportMissingImports=false

from typing import Any

import torch
from torch.utils.hooks import RemovableHandle

OUTPUT = "forward_multiplier"
SCALING = "attention_multiplier"


def multiply_output(module: torch.nn.Module, factor: float) -> RemovableHandle:
    """Multiply the (first) output of a module by a factor, whatever factor it had before.

    Args:
        module: The module; its state gets an entry, so that a model without the factor does not
            load the state without a word.
        factor: The factor.

    Returns:
        The handle of the hook; `remove()` takes it away.
    """
    keep(module, OUTPUT, factor)
    found: Any = getattr(module, "_multiplier_handle", None)
    if _multiply not in module._forward_hooks.values():
        found = module.register_forward_hook(_multiply)
        module._multiplier_handle = found  # pyright: ignore[reportArgumentType]
    return found


def multiply_scaling(module: Any, factor: float) -> None:
    """Multiply the attribute `scaling` of an attention module, whatever factor it had before."""
    before = kept(module, SCALING)
    if before != factor:
        module.scaling = module.scaling / before * factor
        keep(module, SCALING, factor)


def multiplies(model: torch.nn.Module) -> bool:
    """Whether some module of a model carries a factor."""
    return any(hasattr(m, OUTPUT) or hasattr(m, SCALING) for m in model.modules())


def keep(module: torch.nn.Module, name: str, factor: float) -> None:
    """Put a factor into a module's state.

    It is stored as the bits of a float32 in an integer, which no change of the model's precision
    rounds.
    """
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    bits = torch.tensor(factor, dtype=torch.float32, device=device).view(torch.int32)
    module.register_buffer(name, bits)


def kept(module: torch.nn.Module, name: str) -> float:
    """The factor in a module's state, 1 without one."""
    bits: Any = getattr(module, name, None)
    return 1.0 if bits is None else float(bits.view(torch.float32))


def _multiply(module: Any, arguments: Any, output: Any) -> Any:
    """The hook."""
    factor = getattr(module, OUTPUT).view(torch.float32)
    if isinstance(output, tuple):
        return (output[0] * factor, *output[1:])
    return output * factor
