"""Fitting the classifier to actual samples: scikit-learn where it has the estimator.

Features are `x / sqrt(d)` throughout; the objective is the sum of losses plus the penalty.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from orderparam.errors import NotConverged, UnsupportedCombination
from orderparam.mixtures.experiment.descent import Objective, accelerated, reweighted
from orderparam.mixtures.experiment.kinks import kinked
from orderparam.mixtures.model.losses import HardMargin, Hinge, Loss, Squared
from orderparam.mixtures.model.penalties import L2, CustomPenalty, ElasticNet, Penalty
from orderparam.mixtures.model.smooth import CustomLoss, Logistic, Softmax
from orderparam.support.settings import library_settings

_NEWTON = 250
_HARD = 1e8
_SMALL = 4000
"""Entries up to which the hinge loss is solved to rounding; support vectors stop at 1e-5."""


class Classifier(NamedTuple):
    """A fitted classifier: outputs `W x / sqrt(d) + b`, one for two classes or one a class."""

    W: Float[np.ndarray, "output dimension"]
    b: Float[np.ndarray, " output"]


class Task(NamedTuple):
    """What is minimised, apart from the samples."""

    loss: Loss
    penalty: Penalty
    strength: float
    fit_bias: bool
    class_weights: Float[np.ndarray, " class"]


def fit(
    task: Task,
    x: Float[np.ndarray, "sample dimension"],
    label: Int[np.ndarray, " sample"],
    weight: Float[np.ndarray, " sample"] | None = None,
) -> Classifier:
    """Fit to samples with class labels 0 ... C - 1; `weight` multiplies the loss of each.

    Raises:
        NotConverged: If a solver of ours misses its optimality conditions.
        UnsupportedCombination: If no solver takes this loss with this penalty.

    Cost: ridge and logistic regression O(n d^2), hinge O(n^2 d) with l2 and some 40 O(n d^2) with
    other penalties, the rest O(n d) an iteration.
    """
    features = x / np.sqrt(x.shape[1])
    importance = task.class_weights[label] * (1.0 if weight is None else weight)
    one_output = task.loss.binary or (
        isinstance(task.loss, Squared) and len(task.class_weights) == 2 and not task.loss.one_hot
    )
    y = 2.0 * label - 1.0
    if isinstance(task.penalty, L2) and isinstance(task.loss, Squared):
        targets = y[:, None] if one_output else np.eye(len(task.class_weights))[label]
        return _ridge(task, features, targets, importance)
    if isinstance(task.penalty, L2) and isinstance(task.loss, Logistic | Softmax):
        return _logistic(task, features, label, importance)
    if isinstance(task.penalty, L2) and isinstance(task.loss, Hinge | HardMargin):
        return _support_vectors(task, features, y, importance)
    if isinstance(task.penalty, ElasticNet) and isinstance(task.loss, Squared):
        return _elastic_net(task, features, y, importance)
    return _own(task, features, y, importance)


def _ridge(task: Task, features: np.ndarray, targets: np.ndarray, importance: np.ndarray):
    from sklearn.linear_model import Ridge

    solver = "cholesky" if task.strength > 0 else "svd"
    model = Ridge(alpha=task.strength, fit_intercept=task.fit_bias, solver=solver)
    model.fit(features, targets, sample_weight=importance)
    count = targets.shape[1]
    return Classifier(
        np.asarray(model.coef_).reshape(count, -1),
        np.broadcast_to(np.asarray(model.intercept_, dtype=float), (count,)).copy(),
    )


def _logistic(task: Task, features: np.ndarray, label: np.ndarray, importance: np.ndarray):
    from sklearn.linear_model import LogisticRegression

    classes = len(task.class_weights)
    soft = isinstance(task.loss, Softmax)
    # Two softmax outputs are one logistic output at half the strength.
    strength = task.strength / 2 if soft and classes == 2 else task.strength
    small = features.shape[1] * classes <= _NEWTON
    model = LogisticRegression(
        C=1 / strength if strength else np.inf,
        fit_intercept=task.fit_bias,
        solver="newton-cholesky" if small else "lbfgs",
        tol=1e-10 if small else 1e-8,
        max_iter=20000,
    )
    model.fit(features, label, sample_weight=importance)
    W, b = np.asarray(model.coef_), np.broadcast_to(model.intercept_, len(model.coef_)).copy()
    if soft and classes == 2:
        W, b = np.concatenate([-W, W]) / 2, np.concatenate([-b, b]) / 2
    return Classifier(W, b)


def _support_vectors(task: Task, features: np.ndarray, y: np.ndarray, importance: np.ndarray):
    from sklearn.svm import SVC

    hard = isinstance(task.loss, HardMargin)
    if not task.fit_bias or (features.size <= _SMALL and not hard):
        return _own(task, features, y, importance)
    model = SVC(kernel="linear", C=_HARD if hard else 1 / task.strength, tol=1e-5, cache_size=1000)
    model.fit(features, y, sample_weight=importance)
    return Classifier(np.asarray(model.coef_), np.asarray(model.intercept_, dtype=float))


def _elastic_net(task: Task, features: np.ndarray, y: np.ndarray, importance: np.ndarray):
    from sklearn.linear_model import ElasticNet as Net

    assert isinstance(task.penalty, ElasticNet)
    model = Net(
        alpha=task.strength / importance.sum(),
        l1_ratio=task.penalty.l1_ratio,
        fit_intercept=task.fit_bias,
        tol=1e-10,
        max_iter=200000,
    )
    model.fit(features, y, sample_weight=importance)
    return Classifier(np.asarray(model.coef_)[None], np.atleast_1d(np.asarray(model.intercept_)))


def _own(task: Task, features: np.ndarray, y: np.ndarray, importance: np.ndarray) -> Classifier:
    """Our proximal solvers, for what scikit-learn does not have."""
    objective = Objective(features, y, importance, task.fit_bias)
    prox = penalty_prox(task.penalty, task.strength)
    net = task.penalty if isinstance(task.penalty, ElasticNet) else None
    if isinstance(task.loss, Logistic) and net:
        found = reweighted(objective, task.strength, net.l1_ratio)
    elif isinstance(task.loss, Hinge):
        found = kinked(objective, prox)
    elif isinstance(task.loss, Squared | Logistic | CustomLoss):
        found = accelerated(objective, derivative(task.loss), prox)
    else:
        raise UnsupportedCombination(
            f"No solver fits the loss {task.loss.name!r} with the penalty {task.penalty.name!r} "
            f"{'with' if task.fit_bias else 'without'} bias; use another loss or penalty."
        )
    if not found.error <= found.tolerance:
        raise NotConverged(
            f"The fit reached the optimality error {found.error:.2g} instead of "
            f"{found.tolerance:g}; raise the strength of the penalty."
        )
    return Classifier(found.weights[None], np.array([found.bias]))


def penalty_prox(penalty: Penalty, strength: float) -> Callable[[np.ndarray, float], np.ndarray]:
    """`argmin strength r(w) + curvature |w|^2/2 - B w` in NumPy."""
    if isinstance(penalty, CustomPenalty):

        def custom(B: np.ndarray, curvature: float) -> np.ndarray:
            with library_settings():
                return np.asarray(
                    _custom_prox(penalty, B, np.full_like(B, curvature), np.asarray(strength))
                )

        return custom
    ratio = penalty.l1_ratio if isinstance(penalty, ElasticNet) else 0.0
    first, second = strength * ratio, strength * (1 - ratio)

    def shrink(B: np.ndarray, curvature: float) -> np.ndarray:
        return np.sign(B) * np.maximum(np.abs(B) - first, 0) / (curvature + second)

    return shrink


def derivative(loss: Loss) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """`dl/dz` of a smooth loss in NumPy."""
    if isinstance(loss, CustomLoss):
        fun = loss.fun

        def custom(y: np.ndarray, z: np.ndarray) -> np.ndarray:
            with library_settings():
                return np.asarray(_custom_slope(fun, y, z))

        return custom

    if isinstance(loss, Squared):
        return lambda y, z: z - y

    def logistic(y: np.ndarray, z: np.ndarray) -> np.ndarray:
        return -y / (1 + np.exp(np.clip(y * z, -700, 700)))

    return logistic


# Compiled once for a function and a shape, not once for a fit.
@eqx.filter_jit
def _custom_prox(
    penalty: CustomPenalty, B: ArrayLike, curvature: ArrayLike, strength: ArrayLike
) -> Array:
    return penalty.prox(jnp.asarray(B), jnp.asarray(curvature), jnp.asarray(strength))


@partial(jax.jit, static_argnums=0)
def _custom_slope(fun: Callable[[Array, Array], Array], y: Array, z: Array) -> Array:
    return jax.vmap(jax.grad(fun, argnums=1))(y, z)
