"""What claims and figures read out of results."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from orderparam.experts.evidence.transfer import LearningRateTransfer, judged
from orderparam.experts.glossary import entry_name
from orderparam.experts.problem import Ladder, Transfer
from orderparam.experts.theory.exponents import Exponent, judge
from orderparam.experts.traps import Trap
from orderparam.results import Solution
from orderparam.results.pair import Pair

_KINDS = {"Ladder": Ladder, "Transfer": Transfer, "Trap": Trap}


def rebuilt(solution: Solution) -> Any:
    """The problem that a result describes."""
    described = solution.problem
    return _KINDS[described.pop("kind")](**described)


def trained(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs that have an experiment."""
    return [pair for pair in pairs if pair.experiment is not None]


def described(pair: Pair) -> str:
    """Regime, parameterization, sharing and optimiser of a case in words."""
    problem = pair.theory.problem
    names = ("parameterization", "sharing", "optimizer")
    return ", ".join([f"regime {problem['regime']}", *(problem[n] for n in names if problem[n])])


def scales(pair: Pair) -> Float[np.ndarray, " scale"]:
    """The scale factors of a ladder."""
    assert pair.experiment is not None
    return pair.experiment["scale"].values.astype(float)


def steps(pair: Pair) -> list[int]:
    """The numbers of updates after which a ladder was measured."""
    assert pair.experiment is not None
    return [int(step) for step in pair.experiment["time"].values]


def values(pair: Pair, observable: str, step: int) -> Float[np.ndarray, "seed scale"]:
    """Root mean squares of one observable, by run and size."""
    assert pair.experiment is not None
    dataset = pair.experiment.dataset.set_index(measured="measured")
    found = dataset["value"].sel(measured=observable, time=step)
    return found.transpose("seed", "scale").values


def exponent(pair: Pair, observable: str, step: int) -> Exponent:
    """The fitted exponent of one observable, judged by whether it keeps its size."""
    plan = rebuilt(pair.theory).plan()
    return judge(observable, step, values(pair, observable, step), scales(pair), plan)


def exponents(pair: Pair, level: float = 0.95) -> list[Exponent]:
    """All exponents of a ladder, with intervals of a level."""
    assert pair.experiment is not None
    names = [str(name) for name in pair.experiment["measured"].values]
    plan = rebuilt(pair.theory).plan()
    return [
        judge(name, step, values(pair, name, step), scales(pair), plan, level)
        for step in steps(pair)
        for name in names
    ]


def predicted(pair: Pair, observable: str, step: int) -> float | None:
    """The exponent that counting gives; `None` where it gives none."""
    name = entry_name(observable, step)
    found = pair.theory["exponent"]
    return float(found.sel(prediction=name)) if name in found["prediction"].values else None


def sweep(pair: Pair) -> LearningRateTransfer:
    """The losses of a sweep with their optima."""
    assert pair.experiment is not None
    data, problem = pair.experiment, rebuilt(pair.theory)
    loss = np.where(data["diverged"].values, np.inf, data["loss"].values)
    settings = {"parameterization": problem.parameterization, "steps": problem.updates}
    sizes = tuple(int(size) for size in data["scale"].values)
    return judged(sizes, problem.factors, loss, settings)
