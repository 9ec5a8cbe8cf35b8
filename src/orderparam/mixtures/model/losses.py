"""Losses: codes of the classes, proximal operators, and averages over the Gaussian channel.

In one cluster the field is `omega = mean + root(Q) xi`; its proximal point is
`h = argmin (z - omega)^T V^-1 (z - omega)/2 + loss(code, z)` and `f = V^-1 (h - omega)`.
"""

import abc
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erfc
from jax.scipy.stats import norm
from jaxtyping import Array, Float

from orderparam.errors import UnsupportedCombination
from orderparam.numerics.linear import root, solve_small
from orderparam.support.arguments import truth
from orderparam.support.keywords import KnownKeywords
from orderparam.support.plain_methods import PlainMethods


class Moments(NamedTuple):
    """Averages of one cluster: `E f`, `E f f^T`, `-E df/domega` and the training loss `E l(h)`."""

    f: Float[Array, " output"]
    ff: Float[Array, "output output"]
    slope: Float[Array, "output output"]
    loss: Float[Array, ""]


class Field(NamedTuple):
    """The Gaussian law of a cluster's outputs, the response, and the code of its class."""

    mean: Float[Array, " output"]
    Q: Float[Array, "output output"]
    V: Float[Array, "output output"]
    code: Float[Array, " output"]


class Loss(KnownKeywords, PlainMethods, eqx.Module):
    """A loss that is convex in the output; an immutable value that compiled programs hash."""

    name: ClassVar[str]
    binary: ClassVar[bool] = True

    def codes(self, classes: int, fit_bias: bool) -> Float[np.ndarray, "class output"]:
        """The point of output space that stands for each class; the decision is the nearest.

        Raises:
            UnsupportedCombination: If the loss has no codes for that many classes.
        """
        del fit_bias
        if classes != 2:
            raise UnsupportedCombination(
                f"The loss {self.name!r} takes labels -1 and +1, so two classes, but the mixture "
                f"has {classes}; give `labels` with two classes, or use 'softmax' or 'squared'."
            )
        return np.array([[-1.0], [1.0]])

    @abc.abstractmethod
    def value(
        self, code: Float[Array, "... output"], z: Float[Array, "... output"]
    ) -> Float[Array, "..."]:
        """The loss of outputs `z`."""

    @abc.abstractmethod
    def moments(self, field: Field, nodes: Array, weights: Array) -> Moments:
        """Averages over the channel of one cluster."""

    def force_at_zero(self, code: Float[Array, " output"]) -> Array:
        """|dl/dz| at z = 0 for one output; h crosses 0 where `omega` is at -V times this force."""
        return jnp.abs(code[0])

    def points(self, field: Field, omega: Float[Array, "node output"]) -> Array:
        """Proximal points of given fields; only losses of several outputs need them."""
        raise NotImplementedError

    def test_loss(self, field: Field, nodes: Array, weights: Array) -> Array:
        """Average loss of a fresh sample of the cluster."""
        omega = field.mean + nodes @ root(field.Q)
        return weights @ self.value(field.code, omega)

    def config(self) -> Any:
        """The loss as plain values."""
        return self.name


class Squared(Loss):
    """|code - z|^2 / 2, for two classes with labels -1 and +1 or one-hot codes."""

    name: ClassVar[str] = "squared"
    binary: ClassVar[bool] = False
    one_hot: bool = eqx.field(static=True)

    def __init__(self, one_hot: bool = False) -> None:
        self.one_hot = truth("one_hot", one_hot)

    def codes(self, classes: int, fit_bias: bool) -> Float[np.ndarray, "class output"]:
        """-1 and +1, or one-hot vectors; with a bias these lose their constant direction."""
        if classes == 2 and not self.one_hot:
            return np.array([[-1.0], [1.0]])
        return simplex(classes) if fit_bias else np.eye(classes)

    def value(
        self, code: Float[Array, "... output"], z: Float[Array, "... output"]
    ) -> Float[Array, "..."]:
        """Half the squared distance."""
        return jnp.sum((code - z) ** 2, axis=-1) / 2

    def moments(self, field: Field, nodes: Array, weights: Array) -> Moments:
        """Closed: f = (I + V)^-1 (code - omega)."""
        del nodes, weights
        count = len(field.mean)
        inverse = solve_small(jnp.eye(count) + field.V, jnp.eye(count))
        gap = field.code - field.mean
        square = jnp.outer(gap, gap) + field.Q
        ff = inverse @ square @ inverse
        return Moments(inverse @ gap, ff, inverse, jnp.trace(ff) / 2)

    def points(self, field: Field, omega: Float[Array, "node output"]) -> Array:
        """Closed: h = (I + V)^-1 (omega + V code)."""
        right = (omega + field.V @ field.code).T
        return solve_small(jnp.eye(len(field.mean)) + field.V, right).T

    def test_loss(self, field: Field, nodes: Array, weights: Array) -> Array:
        """Closed."""
        del nodes, weights
        return (jnp.sum((field.code - field.mean) ** 2) + jnp.trace(field.Q)) / 2

    def config(self) -> Any:
        """The loss as plain values."""
        return "squared-one-hot" if self.one_hot else "squared"


class Hinge(Loss):
    """max(0, 1 - y z)."""

    name: ClassVar[str] = "hinge"

    def value(
        self, code: Float[Array, "... output"], z: Float[Array, "... output"]
    ) -> Float[Array, "..."]:
        """Distance to the margin where it is violated."""
        return jnp.maximum(0.0, 1 - (code * z)[..., 0])

    def moments(self, field: Field, nodes: Array, weights: Array) -> Moments:
        """Closed: f y is 0 beyond the margin, 1 far inside, linear between."""
        del nodes, weights
        y, V, Q = field.code[0], field.V[0, 0], field.Q[0, 0]
        mu, s = 1 - y * field.mean[0], jnp.sqrt(Q)
        t0, t1 = -mu / s, (V - mu) / s
        between, beyond = normal_between(t0, t1)
        p0, p1 = norm.pdf(t0), norm.pdf(t1)
        f = (mu * between + s * (p0 - p1)) / V + beyond
        ff = ((mu**2 + Q) * between + s * (mu * p0 - (mu + V) * p1)) / V**2 + beyond
        loss = (mu - V) * beyond + s * p1
        return Moments(y * f[None], ff[None, None], (between / V)[None, None], loss)

    def test_loss(self, field: Field, nodes: Array, weights: Array) -> Array:
        """Closed: E max(0, 1 - y omega)."""
        del nodes, weights
        mu, s = 1 - field.code[0] * field.mean[0], jnp.sqrt(field.Q[0, 0])
        return mu * normal_below(mu / s) + s * norm.pdf(mu / s)


class HardMargin(Loss):
    """0 where y z >= 1, infinite elsewhere: the limit of vanishing l2 penalty on separable data."""

    name: ClassVar[str] = "hard-margin"

    def value(
        self, code: Float[Array, "... output"], z: Float[Array, "... output"]
    ) -> Float[Array, "..."]:
        """Zero beyond the margin, infinite before it."""
        return jnp.where((code * z)[..., 0] >= 1, 0.0, jnp.inf)

    def moments(self, field: Field, nodes: Array, weights: Array) -> Moments:
        """Closed: f = y max(0, 1 - y omega) / V."""
        del nodes, weights
        y, V, Q = field.code[0], field.V[0, 0], field.Q[0, 0]
        mu, s = 1 - y * field.mean[0], jnp.sqrt(Q)
        inside, density = normal_below(mu / s), norm.pdf(mu / s)
        f = (mu * inside + s * density) / V
        ff = ((mu**2 + Q) * inside + mu * s * density) / V**2
        return Moments(y * f[None], ff[None, None], (inside / V)[None, None], jnp.zeros(()))

    def force_at_zero(self, code: Float[Array, " output"]) -> Array:
        """Infinite: no training sample is on the wrong side."""
        return jnp.full_like(code[0], jnp.inf)


def simplex(classes: int) -> Float[np.ndarray, "class output"]:
    """Unit vectors of C classes, in coordinates orthogonal to the constant direction."""
    rows = np.zeros((classes, classes - 1))
    for j in range(classes - 1):
        rows[: j + 1, j], rows[j + 1, j] = 1.0, -(j + 1.0)
        rows[:, j] /= np.linalg.norm(rows[:, j])
    return rows


def normal_below(level: Array) -> Array:
    """Probability of a standard normal below a level, exact in both tails."""
    return erfc(-level * np.sqrt(0.5)) / 2


def normal_between(low: Array, high: Array) -> tuple[Array, Array]:
    """Probabilities of a standard normal between two bounds, and beyond the upper one.

    Exact in both tails, in one evaluation of the normal law, which takes long to compile.
    """
    sign = jnp.where(low > 0, -1.0, 1.0)
    upper, lower, beyond = normal_below(jnp.stack([sign * high, sign * low, -high]))
    return sign * (upper - lower), beyond
