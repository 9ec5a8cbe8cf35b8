"""What a method can do, said before any work starts."""

from orderparam.contract import SavePlan
from orderparam.errors import UnsupportedCombination
from orderparam.fluctuations.problem import FiniteWidth
from orderparam.fluctuations.theory.rounding import SIZES
from orderparam.kernels import MLP, ResNet

CARRIED = (
    "with squared, logistic or softmax loss, any number of outputs, momentum, weight decay, biases "
    "and minibatches"
)
MEASURE = "Measure ensembles of networks with orderparam.simulate, which trains all of them."
ONE = f"networks with one hidden layer and a smooth activation, {CARRIED}"
ANY = f"fully connected and residual networks of any depth with a smooth activation, {CARRIED}"


MOST_LAYERS, MOST_STEPS = 3, 15
"""Of networks whose action is expanded: a Hessian of 3630 rows."""


def require_one_layer(
    method: str,
    problem: FiniteWidth,
    save: SavePlan,
    kinks: bool = False,
    instead: str = MEASURE,
) -> None:
    """Refuse what the equations of one hidden layer do not carry; `kinks` says that kinks are fine.

    Raises:
        UnsupportedCombination: Naming what does not fit, why, and what is supported.
    """
    depth = problem.evolution.network.depth
    deep = {f"{depth} hidden layers": depth > 1}
    _refuse(method, _unfit(problem, save, kinks) | deep, ONE, instead)


def require_layers(method: str, problem: FiniteWidth, save: SavePlan) -> None:
    """Refuse what the particles of several layers do not carry.

    Raises:
        UnsupportedCombination: Naming what does not fit, why, and what is supported.
    """
    _refuse(method, _unfit(problem, save, kinks=False), ANY)


def require_rectifier(method: str, problem: FiniteWidth, save: SavePlan) -> None:
    """Refuse what is no network of one hidden layer of rectifiers.

    Raises:
        UnsupportedCombination: Naming what does not fit, why, and what is supported.
    """
    network, loss = problem.evolution.network, problem.evolution.loss
    name = network.activation.name
    wrong = {
        f"the activation {name!r}": name not in SIZES,
        f"the loss {loss!r}, whose kink stays": loss == "hinge",
        f"{network.depth} hidden layers": network.depth > 1,
    }
    supported = f"networks with one hidden layer of {' or '.join(SIZES)}, {CARRIED}"
    _refuse(method, _unfit(problem, save, kinks=True) | wrong, supported)


def _unfit(problem: FiniteWidth, save: SavePlan, kinks: bool) -> dict[str, bool]:
    """What neurons, followed one by one along their paths, do not carry."""
    evolution = problem.evolution
    network, activation = evolution.network, evolution.network.activation
    return {
        f"the network {type(network).__name__}": not isinstance(network, MLP | ResNet),
        f"the activation {activation.name!r}, whose kinks the derivatives of paths do not see "
        "(wrong by tens of percent for kernels)": not (kinks or activation.smooth),
        f"the loss {evolution.loss!r}, whose kink the derivatives of paths do not see": (
            not kinks and evolution.loss == "hinge"
        ),
        "two-time kernels or fields of neurons": save.two_time or bool(save.fields_at),
    }


def require_linear(method: str, problem: FiniteWidth, save: SavePlan) -> None:
    """Refuse networks that are not linear.

    Raises:
        UnsupportedCombination: Naming what does not fit, why, and what is supported.
    """
    network = problem.evolution.network
    name = network.activation.name
    wrong = {
        f"the network {type(network).__name__}": not isinstance(network, MLP | ResNet),
        f"the activation {name!r}, whose fields are no combinations of seeds": name != "linear",
        "biases that start at random, which are no combinations of seeds": network.bias_std > 0,
        "two-time kernels or fields of neurons": save.two_time or bool(save.fields_at),
    }
    _refuse(method, wrong, "fully connected and residual linear networks of any depth, any loss")


def require_frozen(method: str, problem: FiniteWidth, save: SavePlan) -> None:
    """Refuse what is no polynomial of a kernel that stays as it starts.

    Raises:
        UnsupportedCombination: Naming what does not fit, why, and what is supported.
    """
    evolution = problem.evolution
    kind = type(evolution.network).__name__
    wrong = {
        f"the network {kind}": not isinstance(evolution.network, MLP),
        f"the loss {evolution.loss!r}, whose dynamics is not linear": evolution.loss != "squared",
        f"{evolution.data.outputs} outputs": evolution.data.outputs > 1,
        "minibatches": evolution.batches is not None,
        "weight decay, which moves kernels": evolution.weight_decay > 0,
        "two-time kernels or fields of neurons": save.two_time or bool(save.fields_at),
    }
    _refuse(
        method,
        wrong,
        "fully connected networks of any depth and activation with squared loss, one output and "
        "full batches, with momentum, schedules and biases",
    )


def require_action(method: str, problem: FiniteWidth, save: SavePlan) -> None:
    """Refuse what the explicit action does not describe, or whose Hessian is too large.

    Raises:
        UnsupportedCombination: Naming what does not fit, why, and what is supported.
    """
    evolution, network = problem.evolution, problem.evolution.network
    data, last = evolution.data, int(save.grid(evolution.steps)[-1]) + 1
    wrong = {
        f"the network {type(network).__name__}": not isinstance(network, MLP),
        f"the activation {network.activation.name!r}": not network.activation.linear,
        f"{network.depth} hidden layers": network.depth > MOST_LAYERS,
        f"{last} steps, whose Hessian is too large": last > MOST_STEPS,
        f"{data.count} training and {data.test_count} test samples": data.count > 1
        or data.test_count > 0,
        f"{data.outputs} outputs": data.outputs > 1,
        "predictions that are not centered": not evolution.centered,
        f"the loss {evolution.loss!r}": evolution.loss != "squared",
        "momentum": evolution.momentum > 0,
        "weight decay": evolution.weight_decay > 0,
        "minibatches": evolution.batches is not None,
        "biases": network.biases,
        "a `weight_std` other than 1": any(std != 1 for std in network.weight_std),
        "two-time kernels or fields of neurons": save.two_time or bool(save.fields_at),
    }
    _refuse(
        method,
        wrong,
        f"fully connected linear networks of up to {MOST_LAYERS} hidden layers, centered, with "
        f"squared loss on one sample, up to {MOST_STEPS} steps; DeepLinear has no such bounds",
    )


def _refuse(method: str, wrong: dict[str, bool], supported: str, instead: str = MEASURE) -> None:
    found = next((what for what, is_wrong in wrong.items() if is_wrong), "")
    if found:
        raise UnsupportedCombination(
            f"The method {method} does not support {found}; it supports {supported}. {instead}"
        )
