"""What figures and claims of fluctuations read off results."""

from typing import Any

import numpy as np
from jaxtyping import Float

from orderparam.results.pair import Pair


def evolution(pair: Pair) -> dict[str, Any]:
    """The training of a case."""
    return pair.theory.problem["evolution"]


def gamma0(pair: Pair) -> float:
    """Feature-learning strength of a case."""
    return evolution(pair)["gamma0"]


def rate(pair: Pair) -> float:
    """Learning rate of a case."""
    return evolution(pair)["learning_rate"]


def depth(pair: Pair) -> int:
    """Number of hidden layers of a case."""
    return evolution(pair)["network"]["depth"]


def is_centred(pair: Pair) -> bool:
    """Whether predictions are measured from their start."""
    return evolution(pair)["centered"]


def words(pair: Pair) -> str:
    """A case in plain words, for tables."""
    said = "centred" if is_centred(pair) else "not centred"
    return f"L = {depth(pair)}, gamma0 = {gamma0(pair):g}, rate = {rate(pair):g}, {said}"


def runs_of(pair: Pair, name: str, width: int) -> Float[np.ndarray, "seed *entry"]:
    """One variable of all networks of a width, in the order of the theory's dimensions."""
    found = pair.runs(name, width).transpose("seed", *pair.theory[name].dims)
    return np.asarray(found.values, np.float64)


def deviation(pair: Pair, name: str, width: int) -> tuple[float, float]:
    """Relative root mean square deviation of an ensemble's mean, and what chance alone would give.

    Relative to the root mean square of the theory over time and entries, so that times at which
    nothing fluctuates do not count.
    """
    theory, runs = pair.theory[name].values, runs_of(pair, name, width)
    size = np.linalg.norm(theory)
    off = np.linalg.norm(runs.mean(axis=0) - theory)
    chance = np.sqrt(np.sum(runs.var(axis=0, ddof=1)) / len(runs))
    return float(off / size), float(chance / size)


def relative_variance(pair: Pair, name: str) -> Float[np.ndarray, "time *entry"]:
    """N Var of a variable of the theory, relative to its limit squared."""
    return pair.theory[f"{name}_nvar"].values / pair.theory[name].values ** 2


def kernel_sharpness(pair: Pair) -> Float[np.ndarray, " time"]:
    """Largest eigenvalue of the tangent kernel over the number of samples, times the rate.

    At 2 gradient descent on a squared loss is at its edge of stability.
    """
    levels = pair.theory["ntk_eigenvalues"].values
    return rate(pair) * levels[:, 0] / levels.shape[1]
