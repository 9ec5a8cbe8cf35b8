"""The common case with scikit-learn's interface: a classifier that predicts its learning curve."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from orderparam.errors import UnsupportedCombination
from orderparam.mixtures.experiment.fits import Task, fit
from orderparam.mixtures.methods.default import default_method
from orderparam.mixtures.model.estimated import from_data
from orderparam.mixtures.model.losses import Squared
from orderparam.mixtures.model.mixture import gaussian_mixture
from orderparam.mixtures.model.penalties import L2
from orderparam.mixtures.model.smooth import Logistic, Softmax
from orderparam.mixtures.problem import MixtureERM
from orderparam.results import Solution
from orderparam.support.arguments import real, scalar
from orderparam.support.arrays import require_no_mask
from orderparam.support.keywords import KnownKeywords


class AsymptoticClassifier(KnownKeywords, ClassifierMixin, BaseEstimator):
    """A linear classifier that also predicts its own errors at any number of samples.

    Minimises the sum of losses of `W x/sqrt(d) + b` plus `strength |W|^2/2` (or l1, elastic net).
    With l2 it is scikit-learn's `LogisticRegression(C)` or `SVC(C)` for `strength = 1/(C d)`.

    Args:
        loss: `"logistic"` (softmax for more than two classes), `"squared"` or `"hinge"` (two
            classes).
        penalty: `"l2"`, `"l1"` or `"elastic-net"` (two classes for the last two).
        strength: Strength of the penalty, on features divided by sqrt(d).
        fit_bias: Fit an offset.
        shrinkage: Share of the estimated covariances that is replaced by their mean variance.
        class_weight: Factors of the losses of the classes: a mapping, `"balanced"`, or `None`.

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
        class_weight: Any = None,
    ) -> None:
        self.loss = loss
        self.penalty = penalty
        self.strength = strength
        self.fit_bias = fit_bias
        self.shrinkage = shrinkage
        self.class_weight = class_weight

    def __sklearn_tags__(self) -> Any:
        """Two classes alone, but for losses of several outputs with l2."""
        tags = super().__sklearn_tags__()
        loss, penalty = scalar(self.loss), scalar(self.penalty)
        several = ("logistic", "softmax", "squared", "squared-one-hot")
        many = isinstance(loss, Squared | Softmax) or (isinstance(loss, str) and loss in several)
        ridge = isinstance(penalty, L2) or (isinstance(penalty, str) and penalty == "l2")
        tags.classifier_tags.multi_class = bool(many and ridge)
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "AsymptoticClassifier":
        """Fit to samples; `sample_weight` multiplies the loss of each.

        Raises:
            ValueError: If the data are not what scikit-learn's classifiers take.
        """
        for name, value in {"X": X, "y": y, "sample_weight": sample_weight}.items():
            require_no_mask(name, value)
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        X, y, weight = X[weight > 0], y[weight > 0], weight[weight > 0]
        if len(np.unique(y)) > 2 and not self.__sklearn_tags__().classifier_tags.multi_class:
            raise ValueError(
                "Only binary classification is supported by this loss and penalty. The type of "
                f"the target is {type_of_target(y)}."
            )
        self.classes_, label = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"The data have {len(self.classes_)} class, but two are needed to classify."
            )
        real("strength", self.strength)
        real("shrinkage", self.shrinkage, 0.0, 1.0)
        factors = compute_class_weight(
            self.class_weight, classes=self.classes_, y=y, sample_weight=weight
        )
        # The problem checks every argument, on a mixture that stands for any of that many classes.
        problem = self._problem(_stand_in(len(self.classes_), X.shape[1]), [1.0], factors)
        task = Task(
            problem.loss, problem.penalty, float(problem.strength), problem.fit_bias, factors
        )
        mean = np.average(X, axis=0, weights=weight)
        found = fit(task, X - mean, label, weight)
        self.coef_ = found.W / np.sqrt(X.shape[1])
        self.intercept_ = found.b - self.coef_ @ mean
        self.training_data_ = (X, label, weight, factors)
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Outputs: one for two classes, one a class for more."""
        check_is_fitted(self)
        require_no_mask("X", X)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        z = X @ self.coef_.T + self.intercept_
        return z[:, 0] if z.shape[1] == 1 else z

    def predict(self, X: Any) -> np.ndarray:
        """The class with the largest output."""
        z = self.decision_function(X)
        index = (z > 0).astype(int) if z.ndim == 1 else np.argmax(z, axis=1)
        return self.classes_[index]

    def _has_probabilities(self) -> bool:
        loss = scalar(self.loss)
        named = isinstance(loss, str) and loss in ("logistic", "softmax")
        if named or isinstance(loss, Logistic | Softmax):
            return True
        raise AttributeError("Probabilities belong to the losses 'logistic' and 'softmax'.")

    @available_if(_has_probabilities)
    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes, which the loss is the logarithm of."""
        z = self.decision_function(X)
        if z.ndim == 1:
            z = np.stack([np.zeros_like(z), z], axis=1)
        return softmax(z, axis=1)

    def predict_learning_curve(self, alphas: Sequence[float] | np.ndarray) -> Solution:
        """Errors and losses at `alphas` training samples per feature, from the data's moments.

        Args:
            alphas: Samples per feature; not bounded by the number of samples at hand.

        Returns:
            The solution of `MixtureERM` with dimension `alpha`.

        Raises:
            InvalidProblem: If a feature is constant or a class has a single sample.
            UnsupportedCombination: If the samples were fitted with different weights, or for a
                custom penalty, which is solved for diagonal covariances alone.
            CapacityExceeded: For l1 or elastic nets on more than 1000 features.
        """
        check_is_fitted(self)
        X, label, weight, factors = self.training_data_
        if np.ptp(weight) > 0:
            raise UnsupportedCombination(
                "Learning curves are those of samples of equal weight, but `sample_weight` "
                "differed in `fit`; use `class_weight`, or fit without."
            )
        mixture = from_data(X, label, shrinkage=self.shrinkage)
        problem = self._problem(mixture, alphas, factors * weight[0])
        return default_method(problem).run(problem)

    def _problem(
        self, mixture: Any, alphas: Sequence[float] | np.ndarray, factors: np.ndarray
    ) -> MixtureERM:
        soft = (
            isinstance(scalar(self.loss), str) and self.loss == "logistic" and mixture.classes > 2
        )
        loss = "softmax" if soft else self.loss
        return MixtureERM(
            mixture, loss, self.penalty, self.strength, alphas, self.fit_bias, factors
        )


def _stand_in(classes: int, dimension: int) -> Any:
    """Any mixture with that many classes."""
    return gaussian_mixture(np.zeros((classes, dimension)), 1.0)
