"""Smooth losses without a closed channel: logistic, softmax and the user's own."""

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from orderparam.errors import InvalidProblem
from orderparam.mixtures.model.custom import check_convex, check_prox, users_code
from orderparam.mixtures.model.losses import (
    Field,
    HardMargin,
    Hinge,
    Loss,
    Moments,
    Squared,
    simplex,
)
from orderparam.mixtures.model.proximal import logistic_prox, scalar_prox, softmax_prox
from orderparam.numerics.linear import root
from orderparam.support.arguments import function, optional, text
from orderparam.support.settings import library_settings


class Scalar(Loss):
    """A smooth loss of one output, averaged by quadrature over its proximal operator."""

    @abc.abstractmethod
    def derivatives(self, y: Array, z: Array) -> tuple[Array, Array]:
        """First and second derivative in `z`, elementwise."""

    @abc.abstractmethod
    def elementwise(self, y: Array, z: Array) -> Array:
        """The loss itself, elementwise."""

    def proximal(self, y: Array, omega: Float[Array, " node"], V: Array) -> Array:
        """Proximal points, by a safe iteration that knows nothing but the two derivatives."""
        return scalar_prox(lambda z: self.derivatives(y, z), omega, V)

    def value(
        self, code: Float[Array, "... output"], z: Float[Array, "... output"]
    ) -> Float[Array, "..."]:
        """The loss of one output."""
        return self.elementwise(code[..., 0], z[..., 0])

    def moments(self, field: Field, nodes: Array, weights: Array) -> Moments:
        """Averages over the nodes; -df/domega = l'' / (1 + V l'')."""
        y, V = field.code[0], field.V[0, 0]
        omega = field.mean[0] + jnp.sqrt(field.Q[0, 0]) * nodes[:, 0]
        h = self.proximal(y, omega, V)
        first, second = self.derivatives(y, h)
        f, slope = -first, second / (1 + V * second)
        f, ff, slope, loss = jnp.stack([f, f**2, slope, self.elementwise(y, h)]) @ weights
        return Moments(f[None], ff[None, None], slope[None, None], loss)


class Logistic(Scalar):
    """log(1 + exp(-y z))."""

    name: ClassVar[str] = "logistic"

    def derivatives(self, y: Array, z: Array) -> tuple[Array, Array]:
        """-y sigma(-y z) and sigma(z) sigma(-z), exact in both tails by one exponential."""
        small = jnp.exp(-jnp.abs(z))
        inside = 1 / (1 + small)
        return -y * jnp.where(y * z > 0, small, 1.0) * inside, small * inside**2

    def proximal(self, y: Array, omega: Float[Array, " node"], V: Array) -> Array:
        """From a close start, by a fixed number of steps."""
        return y * logistic_prox(y * omega, V)

    def elementwise(self, y: Array, z: Array) -> Array:
        """Softplus of -y z."""
        return jnp.maximum(-y * z, 0.0) + jnp.log1p(jnp.exp(-jnp.abs(z)))

    def force_at_zero(self, code: Float[Array, " output"]) -> Array:
        """One half."""
        return jnp.full_like(code[0], 0.5)


class CustomLoss(Scalar):
    """A smooth convex loss of one output, given by its value.

    Args:
        fun: `fun(y, z)`, elementwise, written with `jax.numpy`; convex in z and twice
            differentiable.
        prox: Optional `prox(y, omega, V)`, the minimiser over z of `(z - omega)^2/(2 V) + fun(y,
            z)`, elementwise; found by Newton's method without it.
        label: Name in results.

    Raises:
        InvalidProblem: If the loss is not convex, or the proximal operator is not its own.
    """

    name: ClassVar[str] = "custom"

    fun: Callable[..., Any] = eqx.field(static=True)
    prox: Callable[..., Any] | None = eqx.field(static=True)
    label: str = eqx.field(static=True)

    def __init__(
        self,
        fun: Callable[..., Any],
        prox: Callable[..., Any] | None = None,
        label: str = "custom loss",
    ) -> None:
        self.fun = function("fun", fun, "y and z")
        self.prox = optional(function, "prox", prox, "y, omega and V")
        self.label = text("label", label)
        # Looks for a midpoint above its chord, and for proximal points that do not minimise.
        with users_code(f"The functions of the loss {self.label!r}"), library_settings():
            check_convex(self.fun, self.label)
            if self.prox is not None:
                check_prox(self.fun, self.prox, self.label)

    def derivatives(self, y: Array, z: Array) -> tuple[Array, Array]:
        """By automatic differentiation."""
        slope = jax.grad(self.fun, argnums=1)
        shape = jnp.shape(z)
        y, z = jnp.broadcast_to(y, shape).ravel(), jnp.ravel(z)
        first = jax.vmap(slope)(y, z).reshape(shape)
        return first, jax.vmap(jax.grad(slope, argnums=1))(y, z).reshape(shape)

    def elementwise(self, y: Array, z: Array) -> Array:
        """The given function."""
        return self.fun(y, z)

    def moments(self, field: Field, nodes: Array, weights: Array) -> Moments:
        """With a proximal operator of its own, the slope is `E f xi / sqrt(Q)` (Stein)."""
        if self.prox is None:
            return super().moments(field, nodes, weights)
        y, V, s = field.code[0], field.V[0, 0], jnp.sqrt(field.Q[0, 0])
        omega = field.mean[0] + s * nodes[:, 0]
        h = self.prox(y, omega, V)
        f = (h - omega) / V
        slope = -(weights @ (f * nodes[:, 0])) / s
        averages = [weights @ a for a in (f, f**2, self.fun(y, h))]
        return Moments(averages[0][None], averages[1][None, None], slope[None, None], averages[2])

    def force_at_zero(self, code: Float[Array, " output"]) -> Array:
        """By automatic differentiation."""
        return jnp.abs(jax.grad(self.fun, argnums=1)(code[0], jnp.zeros(())))

    def config(self) -> Any:
        """The loss as plain values."""
        return {"name": self.name, "label": self.label}


class Softmax(Loss):
    """Cross-entropy of the softmax of `codes @ z`, without the direction it does not see.

    Adding a constant to all C logits changes nothing, so the outputs are C - 1 coordinates on an
    orthonormal basis of what is left, and logits are `codes @ z`.
    """

    name: ClassVar[str] = "softmax"
    binary: ClassVar[bool] = False

    def codes(self, classes: int, fit_bias: bool) -> Float[np.ndarray, "class output"]:
        """Corners of a simplex: rows of an orthonormal basis of the complement of the constant."""
        del fit_bias
        if classes < 2:
            raise InvalidProblem("Softmax needs at least two classes, but the mixture has one.")
        return simplex(classes)

    def value(
        self, code: Float[Array, "... output"], z: Float[Array, "... output"]
    ) -> Float[Array, "..."]:
        """Minus the logarithm of the probability of the class."""
        table = jnp.asarray(simplex(z.shape[-1] + 1))
        return jax.nn.logsumexp(z @ table.T, axis=-1) - jnp.sum(code * z, axis=-1)

    def moments(self, field: Field, nodes: Array, weights: Array) -> Moments:
        """Averages over the nodes; -df/domega = H - H C (I + C^T H C)^-1 C^T H with V = C C^T."""
        omega = field.mean + nodes @ root(field.Q)
        h, slope = softmax_prox(simplex(len(field.mean) + 1), field.code, omega, field.V)
        f = self.force(field.code, h)
        ff = jnp.einsum("n,ni,nj->ij", weights, f, f)
        loss = weights @ self.value(field.code, h)
        return Moments(weights @ f, ff, slope @ weights, loss)

    def points(self, field: Field, omega: Float[Array, "node output"]) -> Array:
        """By Newton's method."""
        return softmax_prox(simplex(len(field.mean) + 1), field.code, omega, field.V)[0]

    def force(self, code: Array, z: Array) -> Array:
        """Minus the gradient."""
        table = jnp.asarray(simplex(z.shape[-1] + 1))
        return code - jax.nn.softmax(z @ table.T, axis=-1) @ table


RENAMED_LOSSES = {"square": "squared", "square-one-hot": "squared-one-hot"}
"""Old spellings, and what they are called now."""

LOSSES: dict[str, Callable[[], Loss]] = {
    "squared": Squared,
    "squared-one-hot": lambda: Squared(one_hot=True),
    "logistic": Logistic,
    "hinge": Hinge,
    "hard-margin": HardMargin,
    "softmax": Softmax,
}
