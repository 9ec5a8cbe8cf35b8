"""Claims about learning-rate transfer: does the optimum stay, and does size help at it?"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from orderparam.experts.evidence.measures import described, rebuilt, sweep, trained
from orderparam.experts.theory.predictions import stable
from orderparam.results import Finding, judged
from orderparam.results.pair import Pair


def rate_transfers(pairs: Sequence[Pair]) -> list[Finding]:
    """In a scale-stable parameterization the optimum moves by one step of the grid at most.

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
    """At a fixed learning rate larger models are better, if and only if scale-stable.

    The rate is the best one of the smallest size for SGD, and the smallest of the grid for Adam,
    since near the optimum Adam makes all parameterizations equal.
    """
    found = []
    for pair in trained(pairs):
        result, kept = sweep(pair), stable(rebuilt(pair.theory).plan())
        sgd = pair.theory.problem["optimizer"] == "sgd"
        at = int(result.loss[0].mean(axis=1).argmin()) if sgd else 0
        name = f"loss of the largest over that of the smallest at factor {result.factors[at]:g}, "
        found.append(_trend(name + described(pair), result.loss[:, at], kept))
        if sgd:
            found.append(_best(pair, kept))
    return found


def _trend(statement: str, loss: Float[np.ndarray, "size seed"], falls: bool) -> Finding:
    """Whether losses fall, or rise, from the smallest to the largest size and nowhere turn back.

    Judged run by run: at the ends by two standard errors, between neighbours by
    three; a change between the ends within two is left open.
    """
    logs = np.log(loss)
    change, error = _mean(logs[-1:] - logs[:1])
    steps, errors = _mean(np.diff(logs, axis=0))
    sign = 1.0 if falls else -1.0
    turns = bool((sign * steps > 3 * errors).any())
    clear = bool((sign * change + 2 * error < 0).all())
    open_ = not clear and not turns and bool((sign * change < 2 * error).all())
    ratio = float(np.exp(change[0]))
    side = "below 1, nowhere rising" if falls else "above 1, nowhere falling"
    note = "losses " + ", ".join(f"{value:.3g}" for value in loss.mean(axis=1))
    verdict = "undecided" if open_ else judged(clear and not turns)
    return Finding(statement, ratio, side, verdict, ratio * float(error[0]), note)


def _mean(
    runs: Float[np.ndarray, "size seed"],
) -> tuple[Float[np.ndarray, " size"], Float[np.ndarray, " size"]]:
    """Means over runs and their standard errors, 0 with a single run."""
    count = runs.shape[1]
    error = runs.std(axis=1, ddof=1) / np.sqrt(count) if count > 1 else np.zeros(len(runs))
    return runs.mean(axis=1), error


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
