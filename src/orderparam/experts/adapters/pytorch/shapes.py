"""Names, shapes and axes of a PyTorch model's parameters."""

# pyright: reportMissingImports=false

from typing import TYPE_CHECKING

from orderparam.errors import InvalidProblem
from orderparam.experts.rules.role_rules import RoleRules, all_normalised

if TYPE_CHECKING:
    import torch


def parameter_shapes(model: "torch.nn.Module") -> dict[str, tuple[int, ...]]:
    """Shapes of all parameters by normalised name.

    Raises:
        InvalidProblem: If parameters were flattened, so that roles are mixed in one tensor.
    """
    names = all_normalised(name for name, _ in model.named_parameters())
    flat = [name for name in names if "flat_param" in name.rpartition(".")[2]]
    if flat:
        raise InvalidProblem(
            f"Parameter {flat[0]!r} is flattened by FSDP and mixes roles; wrap with "
            "use_orig_params=True, or use fully_shard."
        )
    return {names[name]: tuple(p.shape) for name, p in model.named_parameters()}


def embedding_axes(model: "torch.nn.Module") -> dict[str, str]:
    """Axes of embeddings, whose rows are looked up and not summed over."""
    import torch

    return {
        name: "v o"
        for module_name, module in model.named_modules()
        if isinstance(module, torch.nn.Embedding)
        for name in all_normalised([f"{module_name}.weight".lstrip(".")]).values()
    }


def check_tied(model: "torch.nn.Module", rules: RoleRules) -> None:
    """Tensors under two names need a role that knows of it."""
    names: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).extend(all_normalised([name]).values())
    for tied in names.values():
        match = rules.match(tied[0])
        if len(tied) == 1 or match is None or match.role.name == "tied_embedding":
            continue
        if match.role.name.startswith("expert_"):
            raise InvalidProblem(
                f"Parameters {', '.join(tied[:3])} are one tensor, so that experts stay equal for "
                "ever; give each expert its own. Equal starting values are made by initialize_."
            )
        raise InvalidProblem(
            f"Parameters {' and '.join(tied[:3])} are one tensor, but its role is "
            f"{match.role.name!r}; use the role 'tied_embedding', and multiply the logits by "
            "forward_multipliers.logits."
        )
