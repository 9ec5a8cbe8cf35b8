"""Plans for PyTorch models: nothing is attached to tensors, and no class is replaced."""

# pyright: reportMissingImports=false

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from orderparam.experts.adapters.pytorch.shapes import check_tied, embedding_axes, parameter_shapes
from orderparam.experts.adapters.values import Base
from orderparam.experts.rules.build import plan_from_shapes
from orderparam.experts.rules.plan import ScalingPlan
from orderparam.experts.rules.role_rules import RoleRules
from orderparam.experts.rules.shape import Shape, checked_shape
from orderparam.support.arguments import instance
from orderparam.support.extras import needed
from orderparam.support.keywords import known_keywords

if TYPE_CHECKING:
    import torch


class TorchPlan(ScalingPlan):
    """A plan with what a PyTorch training script needs; parameters are found by name.

    Methods may be called before or after wrapping (compilation, DDP, FSDP), which keeps names.
    """

    def initialize_(
        self,
        model: "torch.nn.Module",
        base_std: Base | None = None,
        *,
        seed: int = 0,
        generator: "torch.Generator | None" = None,
        first_expert: int = 0,
    ) -> None:
        """Draw all parameters anew: normal with the base's std times the plan's multiplier.

        A parameter's numbers depend on its name, its expert and the seed alone: not on the order of
        parameters or on sharding. What requires no gradient keeps its values; rows for padding and
        the second matrix of LoRA pairs are zero. Buffers are computed anew where the model's code
        says how (`transformers`, running statistics); others are yours to set after `to_empty`.

        Args:
            model: The target, materialised (`model.to_empty(device=...)` after the meta device).
            base_std: Std of the base model: one number, or numbers by role or name pattern, with
                `default` for the rest; 1 / sqrt(base fan-in) where nothing is given. What is not
                given for a role or name is multiplied by its `std_factor`.
            seed: Seed of the draws.
            generator: Chooses the seed instead.
            first_expert: Number of the first expert that this rank holds.

        Raises:
            InvalidProblem: If the model and the plan do not fit, or tensors are on the meta device.
        """
        from orderparam.experts.adapters.pytorch.initialise import initialise

        initialise(self, model, base_std, seed, generator, first_expert)

    def rescale_(self, model: "torch.nn.Module", *, initialised: str) -> None:
        """Rescale what the model's own code has drawn; at the base size nothing is touched.

        Weights get the base's std times the plan's multiplier. Biases keep the size that they have
        at the base, gains and parameters that require no gradient their values. Call it once, on a
        fresh model; loading a checkpoint needs no rescaling.

        Args:
            model: The target, freshly initialised and unsharded.
            initialised: How that code sets the std: `fan_in` (proportional to 1 / sqrt(fan-in), as
                PyTorch's layers) or `constant` (one number, as most language models).

        Raises:
            InvalidProblem: If the model and the plan do not fit, or the base's size of a bias
                cannot be told.
        """
        from orderparam.experts.adapters.pytorch.rescale import rescale

        rescale(self, model, initialised)

    def param_groups(
        self,
        model: "torch.nn.Module",
        *,
        lr: Base,
        eps: Base = 1e-8,
        weight_decay: Base = 0.0,
    ) -> list[dict[str, Any]]:
        """Parameter groups for an optimiser, with the base model's tuned values times multipliers.

        Args:
            model: The target, wrapped or not.
            lr: Learning rate of the base: one number, or numbers by role, with `default`.
            eps: Epsilon of Adam, likewise.
            weight_decay: Weight decay, likewise.

        Returns:
            Groups of parameters with the same values, which also carry `role`, `lr_mult`,
            `name_list` and the planned values. This method's arguments are what counts: defaults of
            PyTorch's classes, such as AdamW's decay of 0.01, are dropped, and what an optimiser is
            given besides (`AdamW(groups, weight_decay=0.1)`) would be, so that it is refused.

        Raises:
            InvalidProblem: If the plan is of another model, or a value is not allowed.
            UnsupportedCombination: For a decay with an optimiser that normalises it away.
        """
        from orderparam.experts.adapters.pytorch.groups import param_groups

        return param_groups(self, model, lr, eps, weight_decay)

    def check_optimizer(
        self, optimizer: "torch.optim.Optimizer", model: "torch.nn.Module | None" = None
    ) -> None:
        """Refuse an optimiser that does not follow the plan.

        Learning rates and decays may have changed by one factor for all groups, epsilons not at
        all; every parameter for which groups were made has to be there, with its shape.

        Args:
            optimizer: The optimiser, at any step.
            model: The model that it trains; then its parameters must also be the very tensors of
                the optimiser, none missing and none under another's name.

        Raises:
            InvalidProblem: If it was not made from the plan's groups, or they were changed.
            UnsupportedCombination: For a kind of optimiser without a rule.
        """
        from orderparam.experts.adapters.pytorch.check import check_optimizer

        check_optimizer(self, optimizer, model)

    def check_scheduler(self, scheduler: Any) -> None:
        """Warn of a schedule with absolute values, which would change ratios between groups."""
        from orderparam.experts.adapters.pytorch.schedules import check_scheduler

        check_scheduler(scheduler)

    def schedule(
        self,
        optimizer: "torch.optim.Optimizer",
        factors: Sequence[float] | Callable[[int], float],
    ) -> "torch.optim.lr_scheduler.LambdaLR":
        """A schedule that multiplies every group by the same factor at each step.

        Args:
            optimizer: Made from the plan's groups.
            factors: One factor for each step (the last one stays), or a function of the step; a
                floor is a factor too, such as `orderparam.kernels.cosine(steps, final=0.1)`.
        """
        from orderparam.experts.adapters.pytorch.schedules import scaled_schedule

        return scaled_schedule(optimizer, factors)

    def clip_groups(self, model: "torch.nn.Module", max_rms: Base) -> dict[str, float]:
        """Clip the gradient of each role by itself, at a size that grows as gradients do.

        Args:
            model: The target, after the backward pass. Under `fully_shard`, or in other tensors
                that know their placement (DTensor), the norm is that of all parts; all ranks call.
            max_rms: Largest root mean square of gradient entries at the base: one number, or
                numbers by role, with `default`.

        Returns:
            The root mean square of each role before clipping, relative to its growth.

        Raises:
            UnsupportedCombination: If flat parts or other experts are on other ranks.
        """
        from orderparam.experts.adapters.pytorch.clipping import clip_groups

        return clip_groups(self, model, max_rms)

    def check_clipping(self, max_norm: float | None) -> None:
        """Warn of clipping by the global norm: other roles dominate it at other sizes."""
        from orderparam.experts.adapters.pytorch.clipping import check_clipping

        check_clipping(max_norm)


@known_keywords
def torch_plan(
    model: "torch.nn.Module",
    rules: RoleRules,
    *,
    base: Shape,
    target: Shape,
    base_model: "torch.nn.Module | None" = None,
    **choices: Any,
) -> TorchPlan:
    """Make a plan for a PyTorch model, which may be on the meta device but must not be sharded.

    Args:
        model: The target.
        rules: Roles by patterns on parameter names.
        base: Sizes of the tuned model.
        target: Sizes of `model`.
        base_model: The base, to check that rules explain every difference of shapes; not needed.
        **choices: Arguments of `Recipe`.

    Raises:
        InvalidProblem: If names, shapes, sizes or choices do not fit; see `plan_from_shapes`.
    """
    instance("rules", rules, RoleRules, "give orderparam.experts.RoleRules([...])")
    checked_shape("base", base)
    checked_shape("target", target)
    torch = needed("torch", "torch")
    from orderparam.experts.adapters.pytorch.buffers import warn_of_empty_buffers

    instance("model", model, torch.nn.Module, "give the target")
    if base_model is not None:
        instance("base_model", base_model, torch.nn.Module, "give the base, or leave it out")
    check_tied(model, rules)
    warn_of_empty_buffers(model)
    return plan_from_shapes(
        parameter_shapes(model),
        rules,
        base=base,
        target=target,
        base_shapes=None if base_model is None else parameter_shapes(base_model),
        default_layout=embedding_axes(model),
        kind=TorchPlan,
        **choices,
    )
