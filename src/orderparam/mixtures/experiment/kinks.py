"""The hinge loss with any penalty: Newton's method on proximal points, smoothed less and less."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from orderparam.mixtures.experiment.descent import Fitted, Objective, Prox
from orderparam.support.later import linalg

Point = Float[np.ndarray, " entry"]
Coefficients = Float[np.ndarray, " column"]
Elementwise = Callable[[np.ndarray], np.ndarray]

_TOLERANCE = 1e-9
# Scales of the splitting, in units of the mean weight of a loss; the later ones are retries.
_CURVATURES = (0.2, 1.0, 0.04)
_COOLING = 0.2
_LAST = 1e-6
_SOLVED = 0.05
_SHORTER = 0.4
_LENGTHS = 6
_STEPS = 15
# Cells of a smoothing kernel and their probabilities under the density 2/(x^2 + 4)^(3/2), whose
# heavy tails tell a step from afar which side of a kink to go to.
_HALF = np.array([0.5, 1.2, 2.5, 6.0, 20.0, 80.0, 400.0, 2000.0])
_BOUNDS = np.concatenate([-_HALF[::-1], [0.0], _HALF])
_SHARES = np.diff(_BOUNDS / np.sqrt(_BOUNDS**2 + 4)) / 2


class _Place(NamedTuple):
    """A point `v`, its projection, the gap that should vanish there, and its slope.

    Attributes:
        v: Outputs of the samples, then weights, then an entry for the bias that stays 0.
        theta: Weights and bias of the projection.
        x: The projection on `outputs = X theta, weights = theta`.
        gap: Proximal point of `2 x - v`, minus x.
        slope: Derivative of the proximal point, between 0 and 1.
    """

    v: Point
    theta: Coefficients
    x: Point
    gap: Point
    slope: Point

    @property
    def length(self) -> float:
        """Root mean square of the gap."""
        return float(np.linalg.norm(self.gap) / np.sqrt(len(self.gap)))

    @property
    def error(self) -> float:
        """Length of the gap relative to that of v, which holds the primal and the dual point."""
        return float(np.linalg.norm(self.gap) / max(np.linalg.norm(self.v), 1e-300))


class _Splitting(NamedTuple):
    """The two sides of the problem: proximal points of each entry, and the graph of X."""

    X: Float[np.ndarray, "sample column"]
    factor: tuple[np.ndarray, bool]
    keep: Coefficients
    losses: Elementwise
    penalty: Elementwise

    def at(self, v: Point, smoothing: float) -> _Place:
        """The place of `v`."""
        count = len(self.X)
        pulled = self.X.T @ v[:count] + self.keep * v[count:]
        return self.along(v, linalg.cho_solve(self.factor, pulled), smoothing)

    def along(self, v: Point, theta: Coefficients, smoothing: float) -> _Place:
        """The place of `v` whose projection is known."""
        count, x = len(self.X), self.graph(theta)
        t = 2 * x - v
        z, dz = _smoothed(self.losses, t[:count], smoothing)
        w, dw = _smoothed(self.penalty, t[count:-1], smoothing)
        gap = np.concatenate([z, w, [0.0]]) - x
        return _Place(v, theta, x, gap, np.concatenate([dz, dw, [1.0]]))

    def graph(self, theta: Coefficients) -> Point:
        """Outputs and weights; the bias has no penalty and no copy."""
        return np.concatenate([self.X @ theta, self.keep * theta])

    def newton(self, here: _Place, shift: float) -> tuple[Point, Coefficients]:
        """The step `(dv, dtheta)` that closes the gap to first order.

        With `dv = dx + q`, `dx` in the graph and `q` orthogonal to it, the linearised equation is
        `(1 - D) dx + D q = gap`: one weighted Gram matrix of the features.
        """
        count, (sample, rest) = len(self.X), (slice(len(self.X)), slice(len(self.X), None))
        low, high = shift + here.slope, 1 + shift - here.slope
        ratio, force = high / low, here.gap / low
        scaled = np.sqrt(ratio[:count])[:, None] * self.X
        system = scaled.T @ scaled
        # A bias that is not fitted has an empty column.
        system.flat[:: len(system) + 1] += self.keep * ratio[rest] + 1e-14
        right = self.X.T @ force[sample] + self.keep * force[rest]
        dtheta = linalg.cho_solve(linalg.cho_factor(system), right)
        dx = self.graph(dtheta)
        dv = dx + (here.gap - high * dx) / low
        dv[-1] = 0.0
        return dv, dtheta


def kinked(objective: Objective, prox: Prox, most: int = 250) -> Fitted:
    """The hinge loss with any convex penalty, to rounding.

    Douglas-Rachford splitting looks for a `v` where the proximal point of `2 x - v` is the
    projection `x` of `v` on `z = X w + b`. This equation is smoothed by an average over a width,
    as interior points are, and solved by Newton's method while the width shrinks; the last steps
    are unsmoothed. Where a stage gets stuck, the width shrinks less; where that does not help, the
    two sides of the splitting are weighted anew.

    Args:
        objective: Samples, with weights of their losses.
        prox: `prox(B, curvature)`, the minimiser of `penalty(w) + curvature w^2/2 - B w`.
        most: Newton steps of one weighting before it gives up.

    Cost: some 40 steps, each a Gram matrix and a factorisation, O(n d^2).

    Source: Xiao, Li, Wen and Zhang (2018), arXiv 1603.07870, for Newton's method on the splitting.
    """
    tries = (_attempt(objective, prox, curvature, most) for curvature in _CURVATURES)
    best = next(tries)
    while not best.error <= _TOLERANCE and (other := next(tries, None)):
        best = min(best, other, key=lambda fitted: fitted.error)
    return best


def _attempt(objective: Objective, prox: Prox, relative: float, most: int) -> Fitted:
    """One path of widths from 1 to 0; the error is infinite where it does not get there."""
    curvature = relative * float(objective.importance.mean())
    split, entry = _split(objective, prox, curvature)
    here, solved, cooling, last = split.at(np.zeros(sum(split.X.shape)), 1.0), None, _COOLING, _LAST
    steps, error = 0, np.inf
    while steps < most and cooling < 0.99 and last > 1e-14:
        width = 1.0 if solved is None else cooling * solved if solved > last else 0.0
        there, taken = _stage(split, here, width)
        steps += taken
        if there is not None and width == 0:
            here, error = there, there.error
            break
        if there is not None:
            here, solved, cooling = there, width, max(_COOLING, cooling**1.5)
        elif width == 0:
            last *= 0.1
        else:
            cooling **= 0.5
    w = split.penalty((2 * here.x - here.v)[len(split.X) : -1])
    return Fitted(w, float(here.theta[-1] * entry), error, _TOLERANCE)


def _split(objective: Objective, prox: Prox, curvature: float) -> tuple[_Splitting, float]:
    X, entry = objective.columns()
    keep = np.ones(X.shape[1])
    keep[-1] = 0.0
    factor = linalg.cho_factor(X.T @ X + np.diag(np.where(keep > 0, 1.0, 1e-12)))
    reach = objective.importance / curvature
    return _Splitting(
        X,
        factor,
        keep,
        lambda t: _hinge_prox(t, objective.y, reach),
        lambda t: prox(curvature * t, curvature),
    ), entry


def _stage(split: _Splitting, start: _Place, width: float) -> tuple[_Place | None, int]:
    """Newton's method at one width, and the number of its steps; `None` if it gets stuck."""
    here = split.at(start.v, width)
    for count in range(1, _STEPS + 1):
        shift = min(1e-2 * here.length, 1e-3) + 1e-10 if width else 1e-8
        try:
            shorter = _shorter(split, here, shift, width)
        except linalg.LinAlgError:  # rounding made the matrix singular
            return None, count
        if shorter is None:
            return None, count
        here = split.at(shorter.v, width)
        if here.length < _SOLVED * width or (width == 0 and here.error <= _TOLERANCE):
            return here, count
    return None, _STEPS


def _shorter(split: _Splitting, here: _Place, shift: float, width: float) -> _Place | None:
    """The longest of some fractions of a Newton step that shortens the gap."""
    dv, dtheta = split.newton(here, shift)
    for length in _SHORTER ** np.arange(_LENGTHS):
        there = split.along(here.v + length * dv, here.theta + length * dtheta, width)
        if there.length < (1 - 0.1 * length) * here.length:
            return there
    return None


def _smoothed(f: Elementwise, t: Point, width: float) -> tuple[Point, Point]:
    """Average of `f(t + width x)` over x, and its derivative by `t`."""
    if width == 0:
        step = 1e-7 * (1 + np.abs(t))
        return f(t), np.clip((f(t + step) - f(t - step)) / (2 * step), 0.0, 1.0)
    values = [f(t + width * bound) for bound in _BOUNDS]
    mean, slope = np.zeros_like(t), np.zeros_like(t)
    for low, high, size, share in zip(values, values[1:], np.diff(_BOUNDS), _SHARES, strict=False):
        mean += share * (low + high) / 2
        slope += share * (high - low) / (width * size)
    return mean, np.clip(slope, 0.0, 1.0)


def _hinge_prox(z: np.ndarray, y: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Minimiser of `reach max(0, 1 - y h) + (h - z)^2/2`."""
    margin = y * z
    return y * np.where(margin > 1, margin, np.where(margin < 1 - reach, margin + reach, 1.0))
