"""From the Gaussian law of the output to decisions: ROC curve, calibration, the best offset."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from orderparam.errors import InvalidProblem
from orderparam.results import Solution
from orderparam.support.arguments import instance, integer
from orderparam.support.keywords import known_keywords
from orderparam.support.later import optimize, special, stats
from orderparam.support.memory import require_numbers

_RANGE = 8.0


class Roc(NamedTuple):
    """False and true positive rates over thresholds, and the area under the curve."""

    false_positive: Float[np.ndarray, " threshold"]
    true_positive: Float[np.ndarray, " threshold"]
    area: float


class Calibration(NamedTuple):
    """Predicted against true probability of the positive class.

    Attributes:
        predicted: Probabilities `1/(1 + exp(-z))` of outputs z.
        actual: Fraction of positive samples among those with output z.
        error: Expected calibration error, the mean of the absolute difference.
    """

    predicted: Float[np.ndarray, " output"]
    actual: Float[np.ndarray, " output"]
    error: float


class _Law(NamedTuple):
    mean: np.ndarray
    spread: np.ndarray
    weights: np.ndarray
    positive: np.ndarray


@known_keywords
def roc_curve(solution: Solution, points: int = 401) -> Roc:
    """Receiver operating characteristic of a two-class solution at one point.

    The area is exact: `P(z_+ > z_-)` summed over pairs of clusters.

    Raises:
        InvalidProblem: If the solution has several outputs or several points.
    """
    law, points = _law(solution), _points(points)
    low = (law.mean - _RANGE * law.spread).min()
    high = (law.mean + _RANGE * law.spread).max()
    levels = np.linspace(high, low, points)
    above = special.ndtr((law.mean[:, None] - levels) / law.spread[:, None])
    plus, minus = law.weights * law.positive, law.weights * ~law.positive
    gap = law.mean[:, None] - law.mean[None, :]
    wins = special.ndtr(gap / np.hypot(law.spread[:, None], law.spread[None, :]))
    area = float((plus / plus.sum()) @ wins @ (minus / minus.sum()))
    return Roc(minus @ above / minus.sum(), plus @ above / plus.sum(), area)


@known_keywords
def calibration(solution: Solution, points: int = 801) -> Calibration:
    """How far the predicted probabilities of a logistic solution can be trusted.

    Raises:
        InvalidProblem: If the loss is not logistic, or there are several points.
    """
    law, points = _law(solution), _points(points)
    if solution.problem["loss"] != "logistic":
        raise InvalidProblem(
            f"Only the logistic loss predicts probabilities, but the loss is "
            f"{solution.problem['loss']!r}."
        )
    low = (law.mean - _RANGE * law.spread).min()
    high = (law.mean + _RANGE * law.spread).max()
    z = np.linspace(low, high, points)
    logs = stats.norm.logpdf(z, law.mean[:, None], law.spread[:, None])
    logs = logs + np.log(law.weights)[:, None]
    density = np.exp(logs)
    shares = np.exp(logs - logs.max(axis=0))
    actual = shares[law.positive].sum(axis=0) / shares.sum(axis=0)
    predicted = 1 / (1 + np.exp(-z))
    total = density.sum(axis=0)
    error = float(total @ np.abs(actual - predicted) / total.sum())
    return Calibration(predicted, actual, error)


@known_keywords
def best_bias(solution: Solution) -> tuple[float, float]:
    """The total bias with the smallest test error, and that error.

    For a common covariance it is `Q log(rho_+/rho_-) / (2 m)` around the middle of the means.

    Raises:
        InvalidProblem: If the solution has several outputs or several points.
    """
    law = _law(solution)
    sign = np.where(law.positive, 1.0, -1.0)
    centred = law.mean - float(solution["b"])

    def error(b: float) -> float:
        return float(law.weights @ special.ndtr(-sign * (centred + b) / law.spread))

    low = (-centred - _RANGE * law.spread).min()
    high = (-centred + _RANGE * law.spread).max()
    grid = np.linspace(low, high, 2001)
    best = int(np.argmin([error(b) for b in grid]))
    ends = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    found = optimize.minimize_scalar(error, bounds=ends, method="bounded", options={"xatol": 1e-12})
    return float(found.x), float(found.fun)


def _points(value: int) -> int:
    """Number of thresholds or outputs, at least 2."""
    points = integer("points", value, 2)
    require_numbers("points", 8 * points)
    return points


def _law(solution: Solution) -> _Law:
    """Mean and spread of the output in each cluster."""
    instance("solution", solution, Solution, "give what orderparam.solve returned")
    if "Q" not in solution or "label" not in solution:
        raise InvalidProblem(
            f"Argument `solution` is one of the family {solution.family} with the variables "
            f"{', '.join(solution.variables)}; solve a MixtureERM."
        )
    if solution["Q"].dims != ("cluster",):
        raise InvalidProblem(
            "The law of a single output needs a binary loss at one alpha and one strength, but "
            f"`Q` has the dimensions {solution['Q'].dims}; solve one point of a binary problem."
        )
    weights = np.array(solution.problem["mixture"]["weights"])
    positive = solution["label"].values == 1
    return _Law(
        solution["m"].values + float(solution["b"]),
        np.sqrt(solution["Q"].values),
        weights,
        positive,
    )
