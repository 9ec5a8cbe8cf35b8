"""Proximal solvers for finite data, each with its optimality error."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

Prox = Callable[[np.ndarray, float], np.ndarray]
Slope = Callable[[np.ndarray, np.ndarray], np.ndarray]

_SMOOTH = 1e-7


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


def _gradient(objective: Objective, X: np.ndarray, slope: Slope, at: np.ndarray) -> np.ndarray:
    return X.T @ (objective.importance * slope(objective.y, X @ at))


def _proximal_step(at: np.ndarray, gradient: np.ndarray, step: float, prox: Prox) -> np.ndarray:
    new = at - step * gradient
    new[:-1] = prox(new[:-1] / step, 1 / step)
    return new


def _force(objective: Objective, X: np.ndarray) -> float:
    """The largest entry of the gradient if every sample pulled with force 1."""
    return float(np.abs(X).T.dot(objective.importance).max())
