"""Claims about learning-rate transfer: does the optimum stay, and does size help at it?"""

from collections.abc import Sequence

import numpy as np

from orderparam.experts.measures import described, rebuilt, sweep, trained
from orderparam.experts.predictions import stable
from orderparam.plots.pair import Pair
from orderparam.results import Finding, judged


def rate_transfers(pairs: Sequence[Pair]) -> list[Finding]:
    """R1: in a scale-stable parameterization the optimum moves by one step of the grid at most.

    For SGD in another one it moves farther or leaves the grid, or the best loss gets worse. With
    Adam nothing is claimed of it, because its optimum was not seen to move.
    """
    found = []
    for pair in trained(pairs):
        result, kept = sweep(pair), stable(rebuilt(pair.theory).plan())
        if not kept and pair.theory.problem["optimizer"] != "sgd":
            continue
        logs = np.log2([optimum.factor for optimum in result.optima])
        step = float(np.diff(np.log2(result.factors)).max())
        if kept:
            expected, holds = f"at most one step of the grid, {step:.2f}", result.stays
        else:
            expected = f"above {step:.2f}, or at an end of the grid, or the best loss gets worse"
            worse = not result.optima[-1].loss < result.optima[0].loss
            holds = not result.stays or worse
        ends = [str(o.size) for o in result.optima if o.edge]
        note = f"at an end of the grid: size {', '.join(ends)}" if ends else ""
        name = f"octaves between the best learning rates of all sizes, {described(pair)}"
        found.append(Finding(name, float(np.ptp(logs)), expected, judged(holds), note=note))
    return found


def size_helps(pairs: Sequence[Pair]) -> list[Finding]:
    """R1: at a fixed learning rate larger models are better, if and only if scale-stable.

    The rate is the best one of the smallest size for SGD, and the smallest of the grid for Adam,
    since near the optimum Adam makes all parameterizations equal.
    """
    found = []
    for pair in trained(pairs):
        result, kept = sweep(pair), stable(rebuilt(pair.theory).plan())
        sgd = pair.theory.problem["optimizer"] == "sgd"
        at = int(result.loss[0].mean(axis=1).argmin()) if sgd else 0
        runs = np.log(result.loss[:, at])
        change = runs[-1] - runs[0]
        error = float(change.std(ddof=1) / np.sqrt(len(change))) if len(change) > 1 else None
        means = result.loss[:, at].mean(axis=1)
        monotone = bool(np.all(np.diff(means) < 0 if kept else np.diff(means) > 0))
        ratio = float(np.exp(change.mean()))
        name = (
            f"loss of the largest over that of the smallest at factor {result.factors[at]:g}, "
            f"{described(pair)}"
        )
        expected = "below 1, lower at each size" if kept else "above 1, higher at each size"
        note = "losses " + ", ".join(f"{loss:.3g}" for loss in means)
        error = None if error is None else ratio * error
        found.append(Finding(name, ratio, expected, judged(monotone), error, note))
        if sgd:
            found.append(_best(pair, kept))
    return found


def _best(pair: Pair, kept: bool) -> Finding:
    """The lowest losses of the sizes."""
    losses = np.array([optimum.loss for optimum in sweep(pair).optima])
    holds = bool(np.all(np.diff(losses) < 0)) if kept else bool(losses[-1] > losses[0])
    return Finding(
        f"best loss of the largest over that of the smallest, {described(pair)}",
        float(losses[-1] / losses[0]),
        "below 1, lower at each size" if kept else "above 1",
        judged(holds),
        note="losses " + ", ".join(f"{loss:.3g}" for loss in losses),
    )
