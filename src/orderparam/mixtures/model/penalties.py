"""Penalties on the weights, and the averages over the Gaussian law of a single coordinate.

A coordinate of kind `a` solves `g(B) = argmin lambda r(w) + w^T A w / 2 - B^T w` with
`A = sum_k sigma_k Vhat_k` and a Gaussian `B`.
"""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm
from jaxtyping import Array

from orderparam.errors import InvalidProblem
from orderparam.mixtures.model.custom import users_code
from orderparam.mixtures.model.losses import normal_below
from orderparam.support.arguments import function, integer, real, text
from orderparam.support.keywords import KnownKeywords
from orderparam.support.memory import require_numbers
from orderparam.support.plain_methods import PlainMethods
from orderparam.support.settings import library_settings

Prox = Callable[..., Any]


class Penalty(KnownKeywords, PlainMethods, eqx.Module):
    """A convex penalty, a sum over coordinates; its strength is a field of the problem."""

    name: ClassVar[str]
    rotation_invariant: ClassVar[bool] = False

    def config(self) -> Any:
        """The penalty as plain values."""
        return self.name


class L2(Penalty):
    """|W|^2 / 2: closed for any number of outputs and any covariances."""

    name: ClassVar[str] = "l2"
    rotation_invariant: ClassVar[bool] = True


class Separable(Penalty):
    """A penalty of one output that acts on every coordinate alone."""

    def averages(self, strength: Array, A: Array, mean: Array, s: Array) -> tuple[Array, ...]:
        """`E g`, `E g^2`, `E dg/dB`, `E r(g)` and the share of non-zero g; B ~ N(mean, s^2)."""
        raise NotImplementedError


class ElasticNet(Separable):
    """`l1_ratio |w|_1 + (1 - l1_ratio) |w|^2/2`; 1 is l1, 0 is l2.

    Args:
        l1_ratio: Share of the absolute value, in [0, 1].

    Raises:
        InvalidProblem: If the share is outside its range.
    """

    name: ClassVar[str] = "elastic-net"

    l1_ratio: float = eqx.field(static=True)

    def __init__(self, l1_ratio: float = 0.5) -> None:
        self.l1_ratio = real("l1_ratio", l1_ratio, 0.0, 1.0)

    def averages(self, strength: Array, A: Array, mean: Array, s: Array) -> tuple[Array, ...]:
        """Soft thresholding of a Gaussian, in closed form."""
        tau = strength * self.l1_ratio
        A = A + strength * (1 - self.l1_ratio)
        up, down = (mean - tau) / s, (-mean - tau) / s
        above, below = normal_below(jnp.stack([up, down]))
        plus = (mean - tau) * above + s * norm.pdf(up)
        minus = (-mean - tau) * below + s * norm.pdf(down)
        square = ((mean - tau) ** 2 + s**2) * above + (mean - tau) * s * norm.pdf(up)
        square += ((mean + tau) ** 2 + s**2) * below - (mean + tau) * s * norm.pdf(down)
        square, active = square / A**2, above + below
        value = self.l1_ratio * (plus + minus) / A + (1 - self.l1_ratio) * square / 2
        return (plus - minus) / A, square, active / A, value, active

    def config(self) -> Any:
        """The penalty as plain values."""
        return {"name": self.name, "l1_ratio": self.l1_ratio}


class L1(ElasticNet):
    """|w|_1."""

    name: ClassVar[str] = "l1"

    def __init__(self) -> None:
        self.l1_ratio = 1.0

    def config(self) -> Any:
        """The penalty as plain values."""
        return self.name


class CustomPenalty(Separable):
    """A convex penalty of one coordinate given by its value and its proximal operator.

    Args:
        value: r(w), elementwise, written with `jax.numpy`.
        prox: `prox(B, A, strength)` is the minimiser over w of `strength r(w) + A w^2/2 - B w`,
            elementwise.
        label: Name in results.
        nodes: Quadrature nodes for the average over B.

    Raises:
        InvalidProblem: If `prox` does not minimise, or `value` is not convex, at test points.

    Source: docs/theory/mixtures.md, Separable penalties.
    """

    name: ClassVar[str] = "custom"

    value: Callable[..., Any] = eqx.field(static=True)
    prox: Prox = eqx.field(static=True)
    label: str = eqx.field(static=True)
    nodes: int = eqx.field(static=True)

    def __init__(
        self,
        value: Callable[..., Any],
        prox: Callable[..., Any],
        label: str = "custom penalty",
        nodes: int = 801,
    ) -> None:
        self.value = function("value", value, "a coordinate")
        self.prox = function("prox", prox, "B, A and strength")
        self.label = text("label", label)
        self.nodes = integer("nodes", nodes, 2)
        require_numbers("nodes", self.nodes**2)
        with users_code(f"The functions `value` and `prox` of the penalty {self.label!r}"):
            self._check()

    def _check(self) -> None:
        """Compare the proximal operator with the objective on a grid."""
        with library_settings():
            grid = jnp.asarray(np.linspace(-6, 6, 4801))
            values = self.value(grid)
            middle = self.value((grid[:-200] + grid[200:]) / 2)
            gap = float(jnp.max(middle - (values[:-200] + values[200:]) / 2))
            if not gap <= 1e-9 * (1 + float(jnp.abs(values).max())):
                raise InvalidProblem(
                    f"The penalty {self.label!r} is not convex: its value at a midpoint exceeds "
                    f"the mean of the ends by {gap:.3g}; the theory needs a convex penalty."
                )
            for B, A, strength in ((0.3, 1.0, 0.5), (2.0, 0.7, 0.5), (-1.5, 2.0, 1.3)):
                self._check_prox(grid, values, B, A, strength)

    def _check_prox(self, grid: Array, values: Array, B: float, A: float, strength: float) -> None:
        w = self.prox(*(jnp.asarray(v) for v in (B, A, strength)))
        best = float(jnp.min(strength * values + A * grid**2 / 2 - B * grid))
        got = float(strength * self.value(w) + A * w**2 / 2 - B * w)
        if not math.isfinite(got) or got > best + 1e-6 * (1 + abs(best)):
            raise InvalidProblem(
                f"The proximal operator of {self.label!r} is not the minimiser: at B = {B}, A = "
                f"{A}, strength = {strength} it returns {float(w):.6g} with objective {got:.6g}, "
                f"but {best:.6g} is reached."
            )

    def averages(self, strength: Array, A: Array, mean: Array, s: Array) -> tuple[Array, ...]:
        """Quadrature over B; the derivative by Stein's identity, `E dg/dB = E g xi / s`."""
        x, w = np.polynomial.legendre.leggauss(self.nodes)
        weight = np.exp(-((9 * x) ** 2) / 2) * w
        weight = jnp.asarray(weight / weight.sum())
        xi = jnp.asarray(9 * x)
        g = self.prox(mean[:, None] + s[:, None] * xi, A[:, None], strength)
        slope = (g * xi) @ weight / s
        active = (g != 0).astype(g.dtype) @ weight
        return g @ weight, g**2 @ weight, slope, self.value(g) @ weight, active

    def config(self) -> Any:
        """The penalty as plain values."""
        return {"name": self.name, "label": self.label}


PENALTIES = {"l2": L2, "l1": L1, "elastic-net": ElasticNet}
