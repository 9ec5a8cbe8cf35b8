"""Derivatives of the solution by strength and sample size, and the optima that they find."""

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from orderparam.errors import InvalidProblem, NotConverged, UnsupportedCombination
from orderparam.mixtures.methods.default import default_method
from orderparam.mixtures.methods.saddle import SaddlePoint
from orderparam.mixtures.problem import MixtureERM
from orderparam.mixtures.theory.batches import make_setup
from orderparam.mixtures.theory.implicit import implicit_slopes
from orderparam.mixtures.theory.separability import bracketed_root
from orderparam.results import Solution
from orderparam.support.arguments import instance, optional, probability
from orderparam.support.keywords import known_keywords
from orderparam.support.settings import library_settings

_LOWEST, _HIGHEST, _GRID = 1e-5, 1e4, 28
_MOST_ALPHA = 1e3


class Sensitivity(NamedTuple):
    """Derivatives by `log alpha` and `log strength` of quantities at one point.

    Attributes:
        value: The quantities by name.
        by_alpha: Derivatives by the logarithm of alpha.
        by_strength: Derivatives by the logarithm of the strength.
    """

    value: dict[str, float]
    by_alpha: dict[str, float]
    by_strength: dict[str, float]


@dataclass(frozen=True)
class Optimum:
    """The strength of the penalty with the smallest test error.

    Attributes:
        strength: Where; the end of the range if the error still falls there.
        test_error: How small.
        curvature: Second derivative of the test error by the logarithm of the strength.
        boundary: `"infinite"` or `"zero"` if the error falls up to that end of the range; empty for
            an optimum inside.
    """

    strength: float
    test_error: float
    curvature: float
    boundary: str


@known_keywords
def sensitivity(problem: MixtureERM, method: SaddlePoint | None = None) -> Sensitivity:
    """Exact derivatives of losses, error and energy at a single point.

    With the equations `F(x, theta) = x`, `dx = (1 - dF/dx)^-1 dF/dtheta dtheta`.

    Args:
        problem: One point; the test error is differentiated for losses of one output.
        method: Settings of the solution.

    Raises:
        InvalidProblem: If `alpha` or `strength` is a sequence, or the strength is 0.
        NotConverged: If the point could not be solved.

    Cost: one solution and one Jacobian, of the size of the overlaps.
    """
    _checked(problem)
    optional(_method, "method", method)
    if problem.dims or float(problem.strength) == 0:
        raise InvalidProblem(
            "Derivatives are taken at one point of positive strength; give one number for `alpha` "
            "and `strength`."
        )
    method = SaddlePoint(tolerance=1e-12) if method is None else method
    with library_settings():
        setup = make_setup(problem, method.nodes)
        alpha, strength = problem.points()
        packed, residual, _ = method.find(setup, alpha, strength)
        if not residual[0] <= max(method.tolerance, 1e-10):
            raise NotConverged(
                f"The point alpha = {alpha[0]:g}, strength = {strength[0]:g} has the residual "
                f"{residual[0]:.2g}; derivatives need a solution."
            )
        theta = jnp.log(jnp.asarray([alpha[0], strength[0]]))
        values, slopes = implicit_slopes(setup, theta, jnp.asarray(packed[0]))
    by = {name: np.asarray(slope) for name, slope in slopes.items()}
    return Sensitivity(
        {name: float(value) for name, value in values.items()},
        {name: float(slope[0]) for name, slope in by.items()},
        {name: float(slope[1]) for name, slope in by.items()},
    )


@known_keywords
def optimal_strength(problem: MixtureERM) -> Optimum:
    """The strength with the smallest test error: a scan, then the root of the exact derivative.

    Args:
        problem: Its `alpha` must be one number; its strength is ignored.

    Raises:
        UnsupportedCombination: For losses of several outputs, whose error is sampled.
    """
    _checked(problem)
    if problem.codes.shape[1] > 1:
        raise UnsupportedCombination(
            "The optimal strength follows from exact derivatives of the test error, which losses "
            "of one output have; scan strengths with `at(strength=[...])` instead."
        )
    grid = np.geomspace(_LOWEST, _HIGHEST, _GRID)
    scan = _solved(problem.at(strength=grid), throw=False)
    errors = scan["test_error"].values
    best = int(np.nanargmin(errors))

    def slope(log_strength: float) -> float:
        at = problem.at(strength=float(np.exp(log_strength)))
        return sensitivity(at).by_strength["test_error"]

    logs = np.log(grid)
    low, high = logs[max(best - 1, 0)], logs[min(best + 1, _GRID - 1)]
    left, right = slope(low), slope(high)
    if not left < 0 < right:
        end = "infinite" if right <= 0 else "zero"
        strength = _HIGHEST if end == "infinite" else _LOWEST
        error = errors[-1] if end == "infinite" else errors[0]
        return Optimum(strength, float(error), 0.0, end)
    root = bracketed_root(slope, low, high, 1e-6)
    curvature = (slope(root + 1e-3) - slope(root - 1e-3)) / 2e-3
    error = sensitivity(problem.at(strength=float(np.exp(root)))).value["test_error"]
    return Optimum(float(np.exp(root)), error, curvature, "")


@known_keywords
def required_alpha(problem: MixtureERM, target_error: float) -> float:
    """Samples per dimension at which the test error falls to a target, at fixed strength.

    Raises:
        InvalidProblem: If the target is not reached below 1000 samples per dimension; names the
            error there.
    """
    _checked(problem)
    target_error = probability("target_error", target_error)
    grid = np.geomspace(0.02, _MOST_ALPHA, 40)
    errors = _solved(problem.at(alpha=grid), throw=False)["test_error"].values
    reached = np.flatnonzero(errors <= target_error)
    if not reached.size:
        raise InvalidProblem(
            f"The test error {target_error:g} is not reached: it is {np.nanmin(errors):.5g} at "
            f"best below alpha = {_MOST_ALPHA:g}; change the strength or the target."
        )
    first = int(reached[0])
    if first == 0:
        return float(grid[0])

    def gap(log_alpha: float) -> float:
        at = problem.at(alpha=float(np.exp(log_alpha)))
        return float(_solved(at)["test_error"]) - target_error

    return float(np.exp(bracketed_root(gap, np.log(grid[first - 1]), np.log(grid[first]), 1e-10)))


def _checked(problem: MixtureERM) -> MixtureERM:
    return instance("problem", problem, MixtureERM, "build one with orderparam.mixtures")


def _method(name: str, method: SaddlePoint) -> SaddlePoint:
    return instance(name, method, SaddlePoint, "give its settings as SaddlePoint(...)")


def _solved(problem: MixtureERM, throw: bool = True) -> Solution:
    return default_method(problem).run(problem, throw=throw)
