"""A classifier trained on some clusters and tested on others."""

from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import numpy as np
from jaxtyping import Float

from orderparam.errors import InvalidProblem
from orderparam.mixtures.model.losses import Loss
from orderparam.mixtures.model.mixture import GaussianMixture
from orderparam.mixtures.model.penalties import Penalty
from orderparam.mixtures.problem import MixtureERM
from orderparam.support.arrays import Numbers, array

_SUM = 1e-8


class CovariateShift(MixtureERM):
    r"""A classifier that meets other means, covariances or frequencies than it was trained on.

    One mixture lists the clusters of both times. Those of probability 0 in training exert nothing
    on the weights, but the weights have overlaps with them,

    $Q'_k = E\, G \Sigma'_k G^T / d, \quad m'_k = E\, G \mu'_k / \sqrt d$,

    which give test error and test loss. Any loss and penalty will do. `Q`, `m`, `V` and
    `confusion` hold all clusters, `train_loss` and `train_error` those of training.

    Args:
        mixture: Means, covariances and classes of all clusters; its own weights are not used.
        training_weights: Probability of each cluster in training, with sum 1; 0 is allowed, but
            each class needs a cluster above 0.
        test_weights: Probability of each cluster among fresh samples, with sum 1; 0 is allowed.
        loss: Loss, as in `MixtureERM`, and so are the rest.
        penalty: Penalty.
        strength: Strength of the penalty, or several.
        alpha: Training samples per dimension, or several.
        fit_bias: Fit b.
        class_weights: Factor of the loss of each class.

    Raises:
        InvalidProblem: If a value is outside its range.
        UnsupportedCombination: If loss, penalty and mixture do not fit together.

    Source: docs/theory/mixtures.md, Covariate shift; exact for the reason given there.
    """

    family: ClassVar[str] = "mixtures"

    met_weights: Float[np.ndarray, " cluster"]

    def __init__(
        self,
        mixture: GaussianMixture,
        training_weights: Numbers,
        test_weights: Numbers,
        loss: str | Loss = "logistic",
        penalty: str | Penalty = "l2",
        strength: Numbers = 0.1,
        alpha: Numbers = 1.0,
        fit_bias: bool = True,
        class_weights: Numbers | None = None,
    ) -> None:
        super().__init__(mixture, loss, penalty, strength, alpha, fit_bias, class_weights)
        training = _probabilities("training_weights", training_weights, self.mixture.clusters)
        self.met_weights = _probabilities("test_weights", test_weights, self.mixture.clusters)
        present = np.unique(self.mixture.labels[training > 0])
        if len(present) < self.mixture.classes:
            missing = sorted(set(range(self.mixture.classes)) - set(present.tolist()))
            raise InvalidProblem(
                f"Argument `training_weights` is {training.tolist()}, which leaves class "
                f"{missing[0]} without training samples; give it a cluster of positive weight."
            )
        self.mixture = eqx.tree_at(lambda m: m.weights, self.mixture, training)

    @property
    def test_weights(self) -> Float[np.ndarray, " cluster"]:
        """Probabilities of the clusters among fresh samples."""
        return self.met_weights

    def at(self, **changes: Any) -> "CovariateShift":
        """The same problem with other values, such as `alpha` or `strength`."""
        fields = ("loss", "penalty", "strength", "alpha", "fit_bias", "class_weights", "mixture")
        own = {name: getattr(self, name) for name in fields}
        weights = {"training_weights": self.mixture.weights, "test_weights": self.met_weights}
        return CovariateShift(**{**own, **weights, **changes})

    def config(self) -> Mapping[str, Any]:
        """The problem as plain JSON values; the weights of the mixture are those of the test."""
        described = super().config()
        mixture = {**described["mixture"], "weights": self.met_weights.tolist()}
        training = self.mixture.weights.tolist()
        return {
            **described, "kind": "CovariateShift", "mixture": mixture, "training_weights": training
        }  # fmt: skip


def _probabilities(name: str, value: Numbers, clusters: int) -> Float[np.ndarray, " cluster"]:
    weights = array(name, value)
    if weights.shape != (clusters,):
        raise InvalidProblem(
            f"Argument `{name}` has shape {weights.shape}, but there are {clusters} clusters; give "
            "one probability for each."
        )
    if np.any(weights < 0) or abs(weights.sum() - 1) > _SUM:
        raise InvalidProblem(
            f"Argument `{name}` must be at least 0 with sum 1, but is {weights.tolist()} with sum "
            f"{weights.sum():.10g}; normalise it."
        )
    return weights
