"""The common case with scikit-learn's interface: a classifier that predicts its learning curve."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from orderparam.mixtures.experiment.fits import Task, fit
from orderparam.mixtures.methods.default import default_method
from orderparam.mixtures.model.estimated import from_data
from orderparam.mixtures.model.mixture import gaussian_mixture
from orderparam.mixtures.problem import MixtureERM
from orderparam.results import Solution
from orderparam.support.arguments import real, scalar


class AsymptoticClassifier(ClassifierMixin, BaseEstimator):
    """A linear classifier that also predicts its own errors at any number of samples.

    Minimises the sum of losses of `W x/sqrt(d) + b` plus `strength |W|^2/2` (or l1, elastic net).

    Args:
        loss: `"logistic"` (softmax for more than two classes), `"squared"` or `"hinge"` (two
            classes).
        penalty: `"l2"`, `"l1"` or `"elastic-net"` (two classes for the last two).
        strength: Strength of the penalty.
        fit_bias: Fit an offset.
        shrinkage: Share of the estimated covariances that is replaced by their mean variance.

    Attributes:
        coef_: Weights of the features, `W/sqrt(d)`; one row, or one for each class.
        intercept_: Offsets.
        classes_: The classes.
        n_features_in_: Number of features.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> y = rng.integers(0, 2, 400)
        >>> X = rng.standard_normal((400, 10)) + 0.5 * (2 * y[:, None] - 1)
        >>> model = AsymptoticClassifier(strength=1.0).fit(X, y)
        >>> bool(model.score(X, y) > 0.8)
        True
    """

    def __init__(
        self,
        loss: Any = "logistic",
        penalty: Any = "l2",
        strength: Any = 0.1,
        fit_bias: Any = True,
        shrinkage: Any = 0.0,
    ) -> None:
        self.loss = loss
        self.penalty = penalty
        self.strength = strength
        self.fit_bias = fit_bias
        self.shrinkage = shrinkage

    def fit(self, X: Any, y: Any) -> "AsymptoticClassifier":
        """Fit to samples.

        Raises:
            ValueError: If the data are not what scikit-learn's classifiers take.
        """
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, label = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"The data have one class, {self.classes_[0]!r}, but two are needed to classify."
            )
        real("strength", self.strength)
        real("shrinkage", self.shrinkage, 0.0, 1.0)
        # The problem checks every argument, on a mixture that stands for any of that many classes.
        problem = self._problem(_stand_in(len(self.classes_), X.shape[1]), [1.0])
        task = Task(
            problem.loss, problem.penalty, float(problem.strength), problem.fit_bias,
            np.ones(len(self.classes_)),
        )  # fmt: skip
        mean = X.mean(axis=0)
        found = fit(task, X - mean, label)
        self.coef_ = found.W / np.sqrt(X.shape[1])
        self.intercept_ = found.b - self.coef_ @ mean
        self.training_data_ = (X, label)
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Outputs: one for two classes, one a class for more."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        z = X @ self.coef_.T + self.intercept_
        return z[:, 0] if z.shape[1] == 1 else z

    def predict(self, X: Any) -> np.ndarray:
        """The class with the largest output."""
        z = self.decision_function(X)
        index = (z > 0).astype(int) if z.ndim == 1 else np.argmax(z, axis=1)
        return self.classes_[index]

    def predict_learning_curve(self, alphas: Sequence[float] | np.ndarray) -> Solution:
        """Errors and losses at `alphas` training samples per feature, from the data's moments.

        Args:
            alphas: Samples per feature; not bounded by the number of samples at hand.

        Returns:
            The solution of `MixtureERM` with dimension `alpha`.

        Raises:
            InvalidProblem: If a feature is constant or a class has a single sample.
        """
        check_is_fitted(self)
        X, label = self.training_data_
        mixture = from_data(X, label, shrinkage=self.shrinkage, diagonal=self.penalty != "l2")
        problem = self._problem(mixture, alphas)
        return default_method(problem).run(problem)

    def _problem(self, mixture: Any, alphas: Sequence[float] | np.ndarray) -> MixtureERM:
        soft = (
            isinstance(scalar(self.loss), str) and self.loss == "logistic" and mixture.classes > 2
        )
        loss = "softmax" if soft else self.loss
        return MixtureERM(mixture, loss, self.penalty, self.strength, alphas, self.fit_bias)


def _stand_in(classes: int, dimension: int) -> Any:
    """Any mixture with that many classes."""
    return gaussian_mixture(np.zeros((classes, dimension)), 1.0)
