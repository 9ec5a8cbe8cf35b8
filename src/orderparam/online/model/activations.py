"""Which activations the students may have: three in closed form, all smooth ones by quadrature."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from orderparam.errors import InvalidProblem
from orderparam.numerics.activations import Activation
from orderparam.numerics.activations import activation as kernel_activation
from orderparam.support.arguments import one_of, scalar

CLOSED: dict[str, Callable[[Array], Array]] = {
    "quadratic": jnp.square,
    "erf_scaled": lambda h: jax.lax.erf(h / jnp.sqrt(2.0).astype(h.dtype)),
    "relu": lambda h: jnp.maximum(h, 0),
}
"""Activations whose Gaussian averages are closed formulas."""

RENAMED = {"erf": "erf_scaled"}
"""Old spellings, and what they are called now."""

_SMOOTH = ("tanh", "gelu", "softplus", "linear", "scaled_tanh")
"""Further names, of activations with a continuous derivative."""


def activation_of(spec: Any) -> str | Activation:
    """A known name, a function or an activation, as the problem keeps it.

    Args:
        spec: A name in `CLOSED`; `"tanh"`, `"gelu"`, `"softplus"`, `"linear"` or
            `"scaled_tanh(beta)"`; an `Activation`; or an elementwise function written with
            `jax.numpy`, which is checked on [-6, 6].

    Raises:
        InvalidProblem: If the name is unknown, or the function is not elementwise, not finite or
            has no continuous derivative.
    """
    found = scalar(spec)
    if isinstance(found, str):
        spec, base = found, found.split("(")[0].strip()
        if found in CLOSED:
            return str(found)
        one_of("activation", base, (*CLOSED, *_SMOOTH), RENAMED)
    found = kernel_activation(spec)
    if found is kernel_activation("relu"):
        return "relu"
    if not found.smooth:
        raise InvalidProblem(
            f"The activation {found.config()} has a kink, where quadrature fails; use one with a "
            'continuous derivative, or "relu", whose averages are known in closed form.'
        )
    return found


def label_of(activation: str | Activation) -> str:
    """The name under which results keep it."""
    return activation if isinstance(activation, str) else activation.config()


def apply(activation: str | Activation, h: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The activation, entry by entry."""
    return CLOSED[activation](h) if isinstance(activation, str) else activation(h)
