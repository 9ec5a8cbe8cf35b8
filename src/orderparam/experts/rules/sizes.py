"""Whether the shape of a parameter fits its role and the sizes of the model."""

from orderparam.errors import InvalidProblem
from orderparam.experts.rules.axes import Layout
from orderparam.experts.rules.role_rules import Role
from orderparam.experts.rules.rows import ROWS
from orderparam.experts.rules.shape import Shape
from orderparam.support.arguments import nearest


def hidden_name(role: Role) -> str:
    """Name of the size behind the ratio h of a role."""
    return role.hidden or ROWS[role.name].hidden


def check_sizes(name: str, role: Role, placed: Layout, sizes: Shape, expert: int | None) -> None:
    """Compare the axes of a parameter with the sizes of its model.

    Args:
        name: The parameter, for messages.
        role: Its role.
        placed: Sizes by the meaning of its axes.
        sizes: Sizes of its model.
        expert: Number of the expert in its name, if any.

    Raises:
        InvalidProblem: If a size is missing in the `Shape`, or an axis has another size.
    """
    row, known = ROWS[role.name], sizes.sizes
    for letter, wanted, found in (
        ("input", row.inputs, placed.inputs),
        ("output", row.outputs, placed.outputs),
    ):
        if not wanted:
            continue
        size = hidden_name(role) if wanted == "h" else wanted
        if size not in known:
            raise InvalidProblem(
                f"Parameter {name!r} with the role {role.name!r} needs the size {size!r}, but the "
                f"Shape names only {', '.join(known)}; add it.{nearest(size, known)}"
            )
        if found is not None and found != known[size]:
            same = " or ".join(other for other, value in known.items() if value == found)
            hint = f" The Shape has this size as {same}." if same else ""
            raise InvalidProblem(
                f"Parameter {name!r} with the role {role.name!r} has {letter} size {found}, but "
                f"the Shape says {size} = {known[size]}; correct the Shape, the role or its axes "
                f"(now {placed.axes!r}).{hint}"
            )
    _check_experts(name, role, placed, known.get("experts"), expert)


def _check_experts(
    name: str, role: Role, placed: Layout, experts: int | None, expert: int | None
) -> None:
    """The experts' axis, or number, has to fit the number of experts."""
    of_expert = role.name.startswith("expert_")
    if (of_expert or role.name == "router") and experts is None:
        raise InvalidProblem(
            f"Parameter {name!r} has the role {role.name!r}, but the Shape has no experts; add "
            "`experts`, `active` and `expert_width` to both shapes."
        )
    if not of_expert:
        return
    if placed.experts is None and expert is None:
        raise InvalidProblem(
            f"Parameter {name!r} with the role {role.name!r} shows no experts: neither its axes "
            f"{placed.axes!r} have an `e`, nor its pattern an {{expert}}; add one."
        )
    if placed.experts is not None and placed.experts != experts:
        raise InvalidProblem(
            f"Parameter {name!r} has {placed.experts} experts along its axis, but the Shape says "
            f"{experts}; give the shape of the unsharded model."
        )
