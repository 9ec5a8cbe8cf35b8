"""Losses: what is minimised, and the error signal that the theory propagates."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from orderparam.errors import InvalidProblem
from orderparam.support.arguments import one_of

Outputs = Float[Any, "*lead sample output"]
Targets = Float[Any, "sample output"]
PerSample = Float[Any, "*lead sample"]


@dataclass(frozen=True)
class Loss:
    """A loss ℓ(f, y) per sample and its error signal Δ = -∂ℓ/∂f, both written out.

    The theory uses `signal`; networks are trained by automatic differentiation of `value`.

    Args:
        name: The name under which it is known.
        value: ℓ for every sample.
        signal: Δ for every sample and output.
        labels: What labels must be, in words; `accepts` checks it.
        accepts: Whether an array of labels (sample, output) is allowed.
    """

    name: str
    value: Callable[[Outputs, Targets], PerSample]
    signal: Callable[[Outputs, Targets], Outputs]
    labels: str
    accepts: Callable[[Float[np.ndarray, "sample output"]], bool]


def _logistic(f: Outputs, y: Targets) -> PerSample:
    return jnp.sum(jax.nn.softplus(-y * f), axis=-1)


def _softmax(f: Outputs, y: Targets) -> PerSample:
    return jax.nn.logsumexp(f, axis=-1) - jnp.sum(y * f, axis=-1)


def _signs(y: np.ndarray) -> bool:
    return bool(np.isin(y, (-1.0, 1.0)).all())


def _probabilities(y: np.ndarray) -> bool:
    return y.shape[1] > 1 and bool((y >= 0).all() and np.allclose(y.sum(axis=1), 1))


LOSSES = {
    loss.name: loss
    for loss in (
        Loss(
            "squared",
            lambda f, y: jnp.sum((f - y) ** 2, axis=-1) / 2,
            lambda f, y: y - f,
            "real numbers",
            lambda y: True,
        ),
        Loss("logistic", _logistic, lambda f, y: y * jax.nn.sigmoid(-y * f), "-1 or +1", _signs),
        Loss(
            "softmax",
            _softmax,
            lambda f, y: y - jax.nn.softmax(f, axis=-1),
            "one column per class, at least two, with rows that sum to 1",
            _probabilities,
        ),
        Loss(
            "hinge",
            lambda f, y: jnp.sum(jnp.maximum(0.0, 1 - y * f), axis=-1),
            lambda f, y: jnp.where(y * f < 1, y, 0.0),
            "-1 or +1",
            _signs,
        ),
    )
}
"""Squared ½|f - y|², logistic log(1 + e^(-yf)), softmax cross-entropy, hinge max(0, 1 - yf)."""


def loss_named(name: Any) -> Loss:
    """The loss of that name.

    Raises:
        InvalidProblem: If there is none, with the nearest name.
    """
    return LOSSES[one_of("loss", name, LOSSES)]


def check_labels(loss: Loss, y: Float[np.ndarray, "sample output"], what: str) -> None:
    """Refuse labels that the loss is not defined for."""
    if not loss.accepts(y):
        raise InvalidProblem(
            f"The {what} labels do not fit the loss {loss.name!r}: they must be {loss.labels}. "
            "Change the labels or the loss."
        )
