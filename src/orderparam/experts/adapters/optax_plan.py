"""Plans for JAX: parameter trees of Flax and Equinox, optimisers of Optax."""

# pyright: reportMissingImports=false

import inspect
import zlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from orderparam.errors import InvalidProblem
from orderparam.experts.adapters.optax_rules import check_factory
from orderparam.experts.adapters.values import Base, checked_std, initial_std
from orderparam.experts.rules.axes import expert_axis
from orderparam.experts.rules.build import plan_from_shapes
from orderparam.experts.rules.plan import Entry, ScalingPlan
from orderparam.experts.rules.role_rules import RoleRules
from orderparam.experts.rules.shape import Shape
from orderparam.experts.rules.sharing import group_of
from orderparam.support.arguments import at_least_zero, function, instance, positive
from orderparam.support.extras import needed

Schedule = Callable[[Any], Any]
Rate = float | int | Schedule


def scaling_plan_tree(
    params: Any, rules: RoleRules, *, base: Shape, target: Shape, **choices: Any
) -> ScalingPlan:
    """Make a plan for a tree of parameters.

    Names are the tree's path joined by dots, such as `layers.0.weight` (Equinox) or
    `params.dense.kernel` (Flax). A rule has to say `axes="i o"` for kernels of Flax; those of
    Equinox are `o i`.

    Args:
        params: Arrays, or shapes as `jax.eval_shape` gives them; other leaves are left out.
        rules: Roles by patterns on the names.
        base: Sizes of the tuned model.
        target: Sizes of this model.
        **choices: Arguments of `Recipe`.

    Raises:
        InvalidProblem: If names, shapes, sizes or choices do not fit.
    """
    shapes = {name: tuple(leaf.shape) for name, leaf in named_leaves(params).items()}
    return plan_from_shapes(shapes, rules, base=base, target=target, **choices)


def named_leaves(params: Any) -> dict[str, Any]:
    """Arrays of a tree by the path to them, joined by dots."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(params)
    return {_name(path): leaf for path, leaf in leaves if hasattr(leaf, "shape")}


def labels(plan: ScalingPlan, params: Any) -> Any:
    """A tree that names, for each parameter, its multipliers; equal ones share a label."""
    table = plan.by_name

    def label(path: Any, leaf: Any) -> str:
        name = _name(path)
        return _label(_checked(table.get(name) or plan[name], leaf))

    return jax.tree_util.tree_map_with_path(label, params)


def optax_transform(
    plan: ScalingPlan,
    make: Callable[..., Any],
    *,
    learning_rate: Rate,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> Any:
    """An Optax optimiser that follows a plan.

    Args:
        plan: The plan.
        make: Constructor of the plan's kind, such as `optax.adamw`, `optax.sgd` or `optax.lion`,
            or a factory of your own; called once for each set of multipliers with `learning_rate`,
            and with `eps` and `weight_decay` where it takes them. It is tried on a small matrix
            first: its updates have to answer to larger gradients as the plan's column says.
        learning_rate: Of the base: a number, or a schedule, which is multiplied.
        eps: Epsilon of the base.
        weight_decay: Of the base.

    Returns:
        A `GradientTransformation`.

    Raises:
        InvalidProblem: If a value is not allowed, a decay is wanted of an optimiser that takes
            none, or the plan is for another kind of optimiser.
        UnsupportedCombination: For updates without a scaling rule (Muon, Adafactor, LAMB, ...).
        MissingExtra: Without Optax.
    """
    optax = needed("optax", "optax")
    instance("plan", plan, ScalingPlan, "make it with scaling_plan_tree")
    takes = frozenset(inspect.signature(function("make", make, "learning_rate")).parameters)
    if not callable(learning_rate):
        learning_rate = positive("learning_rate", learning_rate)
    eps, weight_decay = positive("eps", eps), at_least_zero("weight_decay", weight_decay)
    _check_bound(make)
    if weight_decay and "weight_decay" not in takes:
        raise InvalidProblem(
            f"The optimiser {getattr(make, '__name__', make)} takes no weight_decay, but "
            f"{weight_decay!r} is given; use optax.adamw, or a factory with that argument that "
            "chains optax.add_decayed_weights."
        )
    check_factory(make, takes, plan.recipe, weight_decay)
    parts = {}
    for entry in plan.entries:
        values: dict[str, Any] = {"learning_rate": _scaled(learning_rate, entry.learning_rate)}
        if "eps" in takes and plan.recipe.column == "adam":
            values["eps"] = eps * entry.epsilon
        if "weight_decay" in takes:
            values["weight_decay"] = weight_decay * entry.weight_decay
        parts.setdefault(_label(entry), values)
    transforms = {
        name: optax.set_to_zero() if name == "frozen" else make(**values)
        for name, values in parts.items()
    }
    return optax.partition(transforms, lambda params: labels(plan, params))


def _check_bound(make: Any) -> None:
    """Refuse values that a factory was given in advance and that the plan's would replace."""
    bound = set(getattr(make, "keywords", {})) & {"learning_rate", "eps", "weight_decay"}
    if bound:
        name = sorted(bound)[0]
        raise InvalidProblem(
            f"The factory was given {name}={make.keywords[name]!r} in advance, which the plan's "
            f"values would replace; give {name} to optax_transform instead, which scales it."
        )


def init_tree(key: Any, plan: ScalingPlan, params: Any, base_std: Base | None = None) -> Any:
    """Draw a tree of parameters anew; each depends on the key, its name and its expert alone.

    Args:
        key: A JAX random key.
        plan: The plan.
        params: The tree, as arrays or shapes.
        base_std: Std of the base model: one number, or numbers by role or name with `default`;
            1 / sqrt(base fan-in) where nothing is given.

    Returns:
        A tree of arrays of the same structure and types.

    Raises:
        InvalidProblem: If the tree is not the plan's, or a key of `base_std` means no parameter.
    """
    base_std = checked_std(base_std, plan.entries)

    def draw(path: Any, leaf: Any) -> Any:
        entry = _checked(plan[_name(path)], leaf)
        if entry.role == "frozen":
            return leaf
        if entry.initial != "normal":
            return jnp.full(leaf.shape, 1.0 if entry.initial == "one" else 0.0, leaf.dtype)
        return _normal(key, entry, leaf, initial_std(entry, base_std))

    return jax.tree_util.tree_map_with_path(draw, params)


def _normal(key: Any, entry: Entry, leaf: Any, std: float) -> Any:
    """Normal numbers, one draw for each group of experts."""
    here = jax.random.fold_in(key, np.uint32(zlib.crc32(entry.key.encode())))
    axis = expert_axis(entry.axes)
    if entry.experts is None or entry.groups is None:
        return std * jax.random.normal(here, leaf.shape, leaf.dtype)
    if axis is None:
        group = group_of(entry.expert or 0, entry.experts, entry.groups)
        return std * jax.random.normal(jax.random.fold_in(here, group), leaf.shape, leaf.dtype)
    one = tuple(size for i, size in enumerate(leaf.shape) if i != axis)
    chosen = [group_of(i, entry.experts, entry.groups) for i in range(entry.experts)]
    keys = jax.vmap(lambda g: jax.random.fold_in(here, g))(jnp.arange(entry.groups))
    draws = jax.vmap(lambda k: jax.random.normal(k, one, leaf.dtype))(keys)
    return std * jnp.moveaxis(draws[jnp.array(chosen)], 0, axis)


def _scaled(rate: Rate, multiplier: float) -> Rate:
    """A learning rate, or schedule, times a multiplier."""
    if isinstance(rate, int | float):
        return rate * multiplier
    return lambda step: rate(step) * multiplier


def _label(entry: Entry) -> str:
    """Multipliers as text; parameters with the same ones share an optimiser."""
    if entry.role == "frozen":
        return "frozen"
    return f"lr {entry.learning_rate!r}, eps {entry.epsilon!r}, decay {entry.weight_decay!r}"


def _checked(entry: Entry, leaf: Any) -> Entry:
    """The entry of a leaf, whose shape has to be the one that the plan was made for."""
    if tuple(leaf.shape) != tuple(entry.shape):
        raise InvalidProblem(
            f"Parameter {entry.name!r} has shape {tuple(leaf.shape)}, but the plan is for a model "
            f"where it has {tuple(entry.shape)}; make the plan for the model that is trained."
        )
    return entry


def _name(path: Any) -> str:
    """A path in a tree, joined by dots."""
    parts = (
        getattr(part, "key", getattr(part, "name", getattr(part, "idx", part))) for part in path
    )
    return ".".join(str(part) for part in parts if str(part) != "value")
