"""Why a parameter has its multipliers, step by step, with the numbers put in."""

from orderparam.experts.rules.contents import Entry, PlanContents
from orderparam.experts.rules.counting import count
from orderparam.experts.rules.rows import ROWS, text

_NAMES = {"n": "width", "k": "active experts", "e": "expert width", "h": "hidden width"}


def explain(plan: PlanContents, entry: Entry) -> str:
    """The counting steps behind one entry of a plan, one line each."""
    row = ROWS[entry.role]
    head = f"{entry.name}: {entry.role} ({row.meaning}), shape {entry.shape}, axes {entry.axes!r}"
    if entry.role == "frozen":
        return f"{head}\n  It is not trained and not scaled."
    counted = count(entry.role)
    used = {*counted.signal, *counted.fan_in, *row.std}
    grown = [f"{_NAMES[x]} {x} = {entry.ratios[x]:.4g}" for x in _NAMES if x in used]
    lines = [
        head,
        f"  Growth: {', '.join(grown) or 'none that matters'}.",
        f"  Fan-in {entry.fan_in} grows as {text(counted.fan_in)}, so an update of its entries has "
        f"to be {text(counted.update)} to change {counted.place} by order one.",
        f"  The signal that comes back to {counted.place} is {text(counted.signal)}, and so is a "
        "typical entry of the gradient.",
        *_rates(plan, entry),
        f"  Initial std x {entry.std:.4g}: {_start(plan, entry)}.",
    ]
    if entry.special:
        lines.append(f"  Special rule: {entry.special}.")
    return "\n".join(lines)


def _rates(plan: PlanContents, entry: Entry) -> list[str]:
    """Learning rate, epsilon, depth and decay."""
    recipe = plan.recipe
    counted = count(entry.role)
    if recipe.parameterization in ("sp", "sp_lr1n", "ntp"):
        first = (
            f"  The parameterization {recipe.parameterization!r} does not follow this counting: "
            f"its learning rate is x {entry.learning_rate:.4g}."
        )
    elif recipe.column == "sgd":
        first = (
            f"  SGD: update / gradient = {text(counted.sgd)}; learning rate x "
            f"{entry.learning_rate:.4g}."
        )
    else:
        first = (
            f"  {recipe.optimizer}: a step has the size of the learning rate, so it is the update: "
            f"learning rate x {entry.learning_rate:.4g}"
        )
        first += f", epsilon x {entry.epsilon:.4g}." if recipe.column == "adam" else "."
    lines = [first]
    if entry.in_block and recipe.depth_exponent is not None:
        a = recipe.depth_exponent
        power = 2 * a - 1 if recipe.column == "sgd" else a - 1
        lines.append(
            f"  Depth l = {entry.ratios['l']:.4g}: branches carry L^(-{a:g}), so learning rates "
            f"inside them carry L^({power:g}) and gradients L^(-{a:g}); counted above."
        )
    if recipe.weight_decay_mode != "coupled":
        lines.append(
            f"  Decay of one step, learning rate x decay, stays as it is: decay x "
            f"{entry.weight_decay:.4g}."
        )
    return lines


def _start(plan: PlanContents, entry: Entry) -> str:
    """Where the initial size comes from."""
    if entry.initial != "normal":
        return f"the parameter starts at {entry.initial}"
    if entry.role == "router" and plan.recipe.parameterization in ("mup", "mssp", "mup_global_eps"):
        return "min(sqrt(k)/n, 1/sqrt(n)), so that neither logits nor their back signal grow"
    if entry.role == "expert_out" and plan.recipe.parameterization == "mssp":
        return (
            "1/sqrt(e) times the square root of the growth of independent draws, so that sums over "
            "experts stay of order one forward and backward"
        )
    if entry.role in ("head", "gate") and entry.std != 1.0:
        return "outputs start small and feel the features once these align"
    return "outputs start at order one"
