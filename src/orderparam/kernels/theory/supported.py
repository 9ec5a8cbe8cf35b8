"""What a method can do, said before any work starts."""

from orderparam.contract import SavePlan
from orderparam.errors import UnsupportedCombination
from orderparam.kernels.model.network import MLP
from orderparam.kernels.problem import KernelEvolution


def require_plain(method: str, problem: KernelEvolution) -> None:
    """Refuse all but full-batch gradient descent on squared error of an MLP without biases.

    Raises:
        UnsupportedCombination: Naming what does not fit and what is supported.
    """
    wrong = {
        f"the network {type(problem.network).__name__}": type(problem.network) is not MLP,
        "biases": problem.network.biases,
        f"{problem.data.outputs} outputs": problem.data.outputs > 1,
        f"the loss {problem.loss!r}": problem.loss != "squared",
        "momentum": problem.momentum > 0,
        "weight decay": problem.weight_decay > 0,
        "minibatches": problem.batches is not None,
    }
    refuse(method, wrong, "MLP without biases, one output, squared error, full-batch descent")


def refuse(method: str, wrong: dict[str, bool], supported: str) -> None:
    """Raise the error for the first thing that is wrong, if any is."""
    found = next((what for what, is_wrong in wrong.items() if is_wrong), "")
    if found:
        raise UnsupportedCombination(
            f"The method {method} does not support {found}; it supports {supported}. "
            "Use the method causal."
        )


def require_equal_times(method: str, save: SavePlan) -> None:
    """Refuse to save two-time kernels and fields where a method has none."""
    if save.two_time or save.fields_at:
        raise UnsupportedCombination(
            f"The method {method} has equal-time kernels only; leave out two_time and fields_at, "
            "or use the method causal."
        )
