"""What a fitted classifier achieves: overlaps, losses and errors, exact where they can be."""

import numpy as np

from orderparam.mixtures.experiment.fits import Classifier, Task
from orderparam.mixtures.glossary import one_output
from orderparam.mixtures.model.losses import HardMargin, Hinge, Squared
from orderparam.mixtures.model.penalties import CustomPenalty, ElasticNet
from orderparam.mixtures.model.sampling import Instance, Sample
from orderparam.mixtures.model.smooth import CustomLoss, Softmax
from orderparam.mixtures.problem import MixtureERM
from orderparam.mixtures.theory.observables import gaussian_errors
from orderparam.numerics.gaussian import normal_density


def measure(
    problem: MixtureERM, task: Task, at: Instance, sample: Sample, found: Classifier, alpha: float
) -> dict[str, np.ndarray]:
    """The theory's variables of one fitted classifier."""
    mixture, (W, b) = problem.mixture, found
    d = W.shape[1]
    Q = np.stack([at.times_covariance(W, k) @ W.T / d for k in range(mixture.clusters)])
    m = at.means @ W.T / np.sqrt(d)
    codes = np.array([[-1.0], [1.0]]) if one_output(problem) else np.eye(mixture.classes)
    test = gaussian_errors(m + b, Q, codes)
    label = mixture.labels[sample.cluster]
    z = sample.x @ W.T / np.sqrt(d) + b
    importance = task.class_weights[label]
    train_loss = float(np.mean(importance * losses(task, codes[label], z)))
    penalty = penalty_value(task, W) / d
    measured = {
        "test_error": test.rate(problem.test_weights, mixture.labels)[0],
        "train_error": np.mean(np.argmax(z @ codes.T, axis=1) != label),
        "train_loss": train_loss,
        "energy": alpha * train_loss + task.strength * penalty,
        "penalty": penalty,
        "norm": np.sum(W**2) / d,
        "active": np.mean(W != 0),
        "confusion": test.confusion,
        "Q": Q[:, 0, 0] if one_output(problem) else Q,
        "m": m[:, 0] if one_output(problem) else m,
        "b": b[0] if one_output(problem) else b,
    }
    if not isinstance(task.loss, HardMargin | CustomLoss) and one_output(problem):
        measured["test_loss"] = _test_loss(problem, task, (m + b)[:, 0], Q[:, 0, 0])
    return {name: np.asarray(value, dtype=float) for name, value in measured.items()}


def losses(task: Task, code: np.ndarray, z: np.ndarray) -> np.ndarray:
    """The loss of each sample, in NumPy."""
    if isinstance(task.loss, Squared):
        return np.sum((code - z) ** 2, axis=-1) / 2
    if isinstance(task.loss, Softmax):
        return np.logaddexp.reduce(z, axis=-1) - np.sum(code * z, axis=-1)
    margin = (code * z)[..., 0]
    if isinstance(task.loss, Hinge):
        return np.maximum(0, 1 - margin)
    if isinstance(task.loss, HardMargin):
        return np.zeros(margin.shape)
    if isinstance(task.loss, CustomLoss):
        return np.asarray(task.loss.fun(code[..., 0], z[..., 0]), dtype=float)
    return np.logaddexp(0, -margin)


def penalty_value(task: Task, W: np.ndarray) -> float:
    """`r(W)`, in NumPy."""
    if isinstance(task.penalty, CustomPenalty):
        return float(np.sum(np.asarray(task.penalty.value(W.ravel()), dtype=float)))
    ratio = task.penalty.l1_ratio if isinstance(task.penalty, ElasticNet) else 0.0
    return float(ratio * np.sum(np.abs(W)) + (1 - ratio) * np.sum(W**2) / 2)


def _test_loss(problem: MixtureERM, task: Task, mean: np.ndarray, Q: np.ndarray) -> float:
    """Exact up to quadrature: the mean loss of a fresh sample of one Gaussian output."""
    mixture = problem.mixture
    xi = np.linspace(-9, 9, 2001)
    weight = normal_density(xi) / normal_density(xi).sum()
    code = (2.0 * mixture.labels - 1)[:, None, None]
    z = mean[:, None] + np.sqrt(Q)[:, None] * xi
    value = losses(task, np.broadcast_to(code, (*z.shape, 1)), z[..., None]) @ weight
    return float(problem.test_weights @ (task.class_weights[mixture.labels] * value))
