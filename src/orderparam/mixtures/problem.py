"""Empirical risk minimisation on a Gaussian mixture: what is fitted, with how many samples."""

from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import numpy as np
from jaxtyping import Float

from orderparam.contract import Problem
from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.mixtures.model.checks import axis, checked_class_weights
from orderparam.mixtures.model.losses import HardMargin, Loss
from orderparam.mixtures.model.mixture import (
    GaussianMixture,
    checked_mixture,
    noisy,
    rotated_to_diagonal,
)
from orderparam.mixtures.model.penalties import L2, PENALTIES, ElasticNet, Penalty, Separable
from orderparam.mixtures.model.smooth import LOSSES, RENAMED_LOSSES
from orderparam.mixtures.model.spectrum import Full
from orderparam.support.arguments import one_of, refuse, scalar, truth
from orderparam.support.arrays import Numbers, matrix


class MixtureERM(Problem):
    """A generalised linear classifier fitted to samples of a Gaussian mixture.

    `min over W, b of sum_nu l(y_nu, W x_nu / sqrt(d) + b) + strength * r(W)`: the loss is a sum
    over the n = alpha d samples, and the bias is not penalised. In the limit of large d at fixed
    alpha losses, errors and overlaps are deterministic.

    `alpha` and `strength` may each be a sequence: results then have a dimension of that name.

    Args:
        mixture: The law of the data.
        loss: `"squared"`, `"logistic"`, `"hinge"`, `"softmax"`, `"squared-one-hot"`,
            `"hard-margin"` (the limit of vanishing strength on separable data), or a `CustomLoss`.
        penalty: `"l2"` (|W|^2/2), `"l1"`, `"elastic-net"` (half and half), or a penalty.
            A matrix is refused with what to give instead.
        strength: lambda, at least 0; 0 only for l2 where the minimiser exists.
        alpha: Samples per dimension n/d, positive.
        fit_bias: Fit b; it is 0 otherwise.
        class_weights: Factor of the loss of each class, positive; 1 by default.

    Raises:
        InvalidProblem: If a value is outside its range.
        UnsupportedCombination: If loss, penalty and mixture do not fit together.

    Source: Loureiro et al. (2021); docs/theory/mixtures.md, What is described, Field equations.
    """

    family: ClassVar[str] = "mixtures"

    mixture: GaussianMixture
    loss: Loss
    penalty: Penalty
    strength: Float[np.ndarray, "..."]
    alpha: Float[np.ndarray, "..."]
    fit_bias: bool = eqx.field(static=True)
    class_weights: Float[np.ndarray, " class"]
    codes: Float[np.ndarray, "class output"]
    """The point of output space that stands for each class."""

    def __init__(
        self,
        mixture: GaussianMixture,
        loss: str | Loss = "logistic",
        penalty: str | Penalty | np.ndarray = "l2",
        strength: Numbers = 0.1,
        alpha: Numbers = 1.0,
        fit_bias: bool = True,
        class_weights: Numbers | None = None,
    ) -> None:
        checked_mixture(mixture)
        _refuse_matrix(penalty)
        self.loss = _named("loss", loss, LOSSES, Loss, RENAMED_LOSSES)
        self.penalty = _named("penalty", penalty, PENALTIES, Penalty)
        self.strength = axis("strength", strength, zero=isinstance(self.penalty, L2))
        self.alpha = axis("alpha", alpha, zero=False)
        self.fit_bias = truth("fit_bias", fit_bias)
        self.class_weights = checked_class_weights(class_weights, mixture.classes)
        rotate = self.penalty.rotation_invariant
        self.mixture = noisy(rotated_to_diagonal(mixture) if rotate else mixture)
        self.codes = self.loss.codes(mixture.classes, self.fit_bias)
        self.codes.flags.writeable = False
        self._check_fit(self.codes.shape[1])

    def _check_fit(self, outputs: int) -> None:
        if isinstance(self.penalty, Separable):
            if outputs > 1:
                raise UnsupportedCombination(
                    f"The penalty {self.penalty.name!r} is solved for losses of one output, but "
                    f"the loss {self.loss.name!r} has {outputs} here; use 'l2', or a binary loss."
                )
            if self.needs_sampling and not isinstance(self.penalty, ElasticNet):
                raise UnsupportedCombination(
                    f"The penalty {self.penalty.name!r} needs covariances that are diagonal in the "
                    "coordinates that it acts on; use 'l2', 'l1' or an elastic net for full ones."
                )
            if self.loss.name in ("hard-margin", "softmax"):
                raise UnsupportedCombination(
                    f"The loss {self.loss.name!r} is solved with the penalty 'l2' only."
                )
        if isinstance(self.loss, HardMargin) and np.any(self.strength != 1):
            raise InvalidProblem(
                f"The hard margin is the limit of vanishing strength and is scaled to strength 1, "
                f"but `strength` is {self.strength.tolist()}; give strength=1."
            )

    @property
    def test_weights(self) -> Float[np.ndarray, " cluster"]:
        """Probabilities of the clusters among fresh samples: those of the training samples."""
        return self.mixture.weights

    @property
    def needs_sampling(self) -> bool:
        """Whether the average over the weights is one over draws."""
        return isinstance(self.penalty, Separable) and isinstance(self.mixture.spectrum, Full)

    @property
    def dims(self) -> tuple[str, ...]:
        """Dimensions of the points: those of `alpha` and `strength` that are sequences."""
        axes = {"alpha": self.alpha, "strength": self.strength}
        return tuple(name for name, value in axes.items() if value.ndim)

    def points(self) -> tuple[Float[np.ndarray, " point"], Float[np.ndarray, " point"]]:
        """All combinations of alpha and strength, alpha slowest."""
        grid = np.meshgrid(self.alpha.ravel(), self.strength.ravel(), indexing="ij")
        return grid[0].ravel(), grid[1].ravel()

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of `dims`."""
        return (*self.alpha.shape, *self.strength.shape)

    def at(self, **changes: Any) -> "MixtureERM":
        """The same problem with other values, such as `alpha` or `strength`."""
        fields = ("loss", "penalty", "strength", "alpha", "fit_bias", "class_weights", "mixture")
        return MixtureERM(**{**{name: getattr(self, name) for name in fields}, **changes})

    def config(self) -> Mapping[str, Any]:
        """The problem as plain JSON values; the mixture enters by fingerprint."""
        return {
            "kind": "MixtureERM",
            "mixture": self.mixture.config(),
            "loss": self.loss.config(),
            "penalty": self.penalty.config(),
            "strength": self.strength.tolist(),
            "alpha": self.alpha.tolist(),
            "fit_bias": self.fit_bias,
            "class_weights": self.class_weights.tolist(),
        }


def _named(
    argument: str,
    value: Any,
    known: Mapping[str, Any],
    kind: type,
    renamed: Mapping[str, str] | None = None,
) -> Any:
    if isinstance(value, kind):
        return value
    if not isinstance(scalar(value), str):
        raise refuse(argument, value, f"one of {', '.join(known)}, or a {kind.__name__}")
    return known[one_of(argument, value, known, renamed)]()


def _refuse_matrix(penalty: Any) -> None:
    """A ridge `tr(W Gamma W^T)/2` is l2 on other features, which a mixture can describe."""
    if isinstance(penalty, np.ndarray) and penalty.ndim == 2:
        matrix("penalty", penalty)
        raise UnsupportedCombination(
            f"Argument `penalty` is an array, but must be one of {', '.join(PENALTIES)} or a "
            "Penalty. A ridge with a matrix Gamma is 'l2' on the features Gamma^(-1/2) x: give "
            "the mixture of their means and covariances."
        )
