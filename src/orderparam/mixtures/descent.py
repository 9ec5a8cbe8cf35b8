"""Proximal solvers for finite data, each with its optimality error."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import linalg

Prox = Callable[[np.ndarray, float], np.ndarray]
Slope = Callable[[np.ndarray, np.ndarray], np.ndarray]

_SMOOTH = 1e-7
_SPLIT = 1e-6
_CURVATURE = 0.2
_MEMORY = 20


class Objective(NamedTuple):
    """`sum_nu importance_nu l(y_nu, w . features_nu + b)`, apart from the loss."""

    features: Float[np.ndarray, "sample dimension"]
    y: Float[np.ndarray, " sample"]
    importance: Float[np.ndarray, " sample"]
    fit_bias: bool

    def columns(self) -> tuple[np.ndarray, float]:
        """Features, with a column for the bias that is as long as the others, and its entry."""
        entry = float(np.sqrt(np.mean(self.features**2)))
        column = np.full((len(self.y), 1), entry if self.fit_bias else 0.0)
        return np.concatenate([self.features, column], axis=1), entry


class Fitted(NamedTuple):
    """Where a solver ended, and how far from optimal."""

    weights: Float[np.ndarray, " dimension"]
    bias: float
    error: float
    tolerance: float


def accelerated(objective: Objective, slope: Slope, prox: Prox, most: int = 50000) -> Fitted:
    """Proximal gradient with momentum that restarts when it points uphill.

    The error is the length of the proximal gradient step, times the curvature, relative to the
    largest single force.
    """
    X, entry = objective.columns()
    size = X.shape[1]
    # Curvature of the losses is at most 1 for the logistic and the usual robust ones; more halves.
    step = 1 / float(np.linalg.norm(X, 2) ** 2 * objective.importance.max())
    at, moved, theta = np.zeros(size), np.zeros(size), 1.0
    error = np.inf
    for _ in range(most):
        gradient = _gradient(objective, X, slope, moved)
        new = _proximal_step(moved, gradient, step, prox)
        change = new - moved
        after = _gradient(objective, X, slope, new)
        if (after - gradient) @ change > change @ change / step * (1 + 1e-12):
            step /= 2  # the curvature exceeds the guess
            continue
        error = float(np.abs(change).max() / step / _force(objective, X))
        if error <= _SMOOTH:
            at = new
            break
        if change @ (new - at) < 0:
            theta = 1.0
        following = (1 + np.sqrt(1 + 4 * theta**2)) / 2
        moved = new + (theta - 1) / following * (new - at)
        at, theta = new, following
    return Fitted(at[:-1], float(at[-1] * entry), error, _SMOOTH)


def reweighted(objective: Objective, strength: float, l1_ratio: float, most: int = 60) -> Fitted:
    """Logistic loss with an elastic net: Newton's method, each step a weighted elastic net.

    The error is that of `accelerated`.
    """
    from sklearn.linear_model import ElasticNet

    X, y, importance, fit_bias = objective
    w, b, error = np.zeros(X.shape[1]), 0.0, np.inf
    scale = float(np.abs(X).T.dot(importance).max())
    step = 1 / float(np.linalg.norm(X, 2) ** 2 * importance.max())

    def value(w: np.ndarray, b: float) -> float:
        size = l1_ratio * np.abs(w).sum() + (1 - l1_ratio) * (w @ w) / 2
        return float(importance @ np.logaddexp(0, -y * (X @ w + b)) + strength * size)

    for _ in range(most):
        z = X @ w + b
        p = 1 / (1 + np.exp(np.clip(y * z, -700, 700)))
        slope, curvature = -y * p, np.maximum(p * (1 - p), 1e-6)
        moved = w - step * (X.T @ (importance * slope))
        near = np.sign(moved) * np.maximum(np.abs(moved) - step * strength * l1_ratio, 0)
        near /= 1 + step * strength * (1 - l1_ratio)
        error = (
            float(max(np.abs(near - w).max() / step, abs(importance @ slope) * fit_bias)) / scale
        )
        if error <= _SMOOTH:
            break
        weight = importance * curvature
        model = ElasticNet(
            alpha=strength / weight.sum(), l1_ratio=l1_ratio, fit_intercept=fit_bias, tol=1e-9,
            max_iter=100000,
        )  # fmt: skip
        model.fit(X, z - slope / curvature, sample_weight=weight)
        dw, db = np.asarray(model.coef_) - w, float(np.asarray(model.intercept_)) - b
        before, length = value(w, b), 1.0
        while value(w + length * dw, b + length * db) > before + 1e-10 * before and length > 1e-4:
            length /= 2
        w, b = w + length * dw, b + length * db
    return Fitted(w, b, error, _SMOOTH)


def linear_program(objective: Objective, strength: float) -> Fitted:
    """The hinge loss with l1, exactly: a linear program in `w = w+ - w-`, bias and slacks."""
    from scipy import optimize, sparse

    X, y, importance, fit_bias = objective
    count, size = X.shape
    signed = y[:, None] * X
    rows = sparse.hstack(
        [sparse.csr_array(part) for part in (-signed, signed, -y[:, None])]
        + [-sparse.eye_array(count)]
    )
    cost = np.concatenate([np.full(2 * size, strength), [0.0], importance])
    free = (None, None) if fit_bias else (0.0, 0.0)
    bounds = [(0, None)] * (2 * size) + [free] + [(0, None)] * count
    found = optimize.linprog(cost, rows, -np.ones(count), bounds=bounds, method="highs")
    w = found.x[:size] - found.x[size : 2 * size]
    return Fitted(w, float(found.x[2 * size]), 0.0 if found.success else np.inf, _SPLIT)


def splitting(objective: Objective, prox: Prox, most: int = 20000) -> Fitted:
    """The hinge loss with any penalty by Douglas-Rachford splitting with Anderson acceleration.

    The iterate is `v = (z, u)`: its projection `x` on `z = X w, u = w` and the proximal point `y`
    of `2 x - v` agree at the minimiser. The error is `|y - x|` relative to `|x|`.
    """
    X, entry = objective.columns()
    count, size = X.shape
    keep = np.ones(size)
    keep[-1] = 0.0  # the bias has no penalty and no copy
    factor = linalg.cho_factor(X.T @ X + np.diag(np.where(keep > 0, 1.0, 1e-12)))
    curvature = _CURVATURE * float(objective.importance.mean())
    v, past, best, error = np.zeros(count + size), _Past([], []), np.inf, np.inf
    theta, u = np.zeros(size), np.zeros(size - 1)
    for _ in range(most):
        theta = linalg.cho_solve(factor, X.T @ v[:count] + keep * v[count:])
        x = np.concatenate([X @ theta, keep * theta])
        z = _hinge_prox((2 * x - v)[:count], objective.y, objective.importance / curvature)
        u = prox(curvature * (2 * x - v)[count:-1], curvature)
        gap = np.concatenate([z, u, [0.0]]) - x
        length = float(np.linalg.norm(gap))
        error = length / max(float(np.linalg.norm(x)), 1e-12)
        if error <= _SPLIT:
            break
        if length > 2 * best:  # the acceleration went astray: a plain step, and start again
            past, best = _Past([], []), length
        best = min(best, length)
        v = past.following(v, gap)
    return Fitted(u, float(theta[-1] * entry), error, _SPLIT)


class _Past(NamedTuple):
    """The last points of an iteration and the steps from them."""

    points: list[np.ndarray]
    steps: list[np.ndarray]

    def following(self, point: np.ndarray, step: np.ndarray) -> np.ndarray:
        """The next point: the combination of the last ones whose step is the shortest."""
        self.points.append(point)
        self.steps.append(step)
        if len(self.points) > _MEMORY:
            del self.points[0], self.steps[0]
        if len(self.points) < 2:
            return point + step
        dv, dg = np.diff(self.points, axis=0), np.diff(self.steps, axis=0)
        gram = dg @ dg.T
        gram += 1e-10 * np.trace(gram) * np.eye(len(gram))
        return point + step - np.linalg.solve(gram, dg @ step) @ (dv + dg)


def _gradient(objective: Objective, X: np.ndarray, slope: Slope, at: np.ndarray) -> np.ndarray:
    return X.T @ (objective.importance * slope(objective.y, X @ at))


def _proximal_step(at: np.ndarray, gradient: np.ndarray, step: float, prox: Prox) -> np.ndarray:
    new = at - step * gradient
    new[:-1] = prox(new[:-1] / step, 1 / step)
    return new


def _force(objective: Objective, X: np.ndarray) -> float:
    """The largest entry of the gradient if every sample pulled with force 1."""
    return float(np.abs(X).T.dot(objective.importance).max())


def _hinge_prox(z: np.ndarray, y: np.ndarray, V: np.ndarray) -> np.ndarray:
    margin = y * z
    return y * np.where(margin > 1, margin, np.where(margin < 1 - V, margin + V, 1.0))
