"""Elementwise activations: the named ones, and any function of the user after a check."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from orderparam.errors import InvalidProblem
from orderparam.numerics.own_activation import checked_function
from orderparam.numerics.references import Reference, reference, resolved
from orderparam.support.arguments import (
    function,
    positive,
    reals,
    refuse,
    scalar,
    shown,
    text,
    truth,
)
from orderparam.support.keywords import KnownKeywords, known_keywords
from orderparam.support.spelling import nearest


@dataclass(frozen=True)
class Activation(KnownKeywords):
    """An elementwise function φ, usable in compiled programs.

    Args:
        name: The name under which it is known.
        function: φ itself, written with `jax.numpy`.
        parameters: Numbers that complete the name, as in `scaled_tanh(0.8)`.
        smooth: Whether φ' is continuous.
        linear: Whether φ(h) = h.
    """

    name: str
    function: Callable[[Array], Array]
    parameters: tuple[float, ...] = ()
    smooth: bool = True
    linear: bool = False

    def __post_init__(self) -> None:
        """Refuse values that are not allowed."""
        given = {
            "name": text("name", self.name),
            "function": function("function", self.function, "one array"),
            "parameters": tuple(reals("parameters", self.parameters, least=0)),
            "smooth": truth("smooth", self.smooth),
            "linear": truth("linear", self.linear),
        }
        for name, value in given.items():
            object.__setattr__(self, name, value)

    def __call__(self, h: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """φ(h), entry by entry."""
        return self.function(h)

    def derivative(self, h: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """φ'(h), entry by entry."""
        return jax.jvp(self.function, (h,), (jnp.ones_like(h),))[1]

    def __reduce__(self) -> tuple[Callable[..., "Activation"], tuple[Any, ...]]:
        """For other processes; a named one is the same value there, with its compiled programs."""
        named = self.name in _NAMED or self.name == "scaled_tanh"
        if named and activation(self.config()) is self:
            return activation, (self.config(),)
        rest = (self.parameters, self.smooth, self.linear)
        return _restored, (self.name, reference(self.function), rest)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Activation":
        """Itself, since it never changes."""
        return self

    def config(self) -> str:
        """The name with its parameters; `activation` reads it back for named ones."""
        if not self.parameters:
            return self.name
        return f"{self.name}({', '.join(repr(value) for value in self.parameters)})"


def _restored(
    name: str, found: Reference | Callable[..., Any], rest: tuple[Any, ...]
) -> Activation:
    """An activation from what a pickle keeps of it."""
    return Activation(name, resolved(found), *rest)


@partial(jax.jit, static_argnums=0)
def values_and_slopes(
    activation: Activation, h: Float[Array, "*shape"]
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """φ(h) and φ'(h), compiled once for each activation and shape."""
    return activation(h), activation.derivative(h)


def _gelu(h: Array) -> Array:
    return h * (1 + jax.lax.erf(h / math.sqrt(2))) / 2


@known_keywords
def scaled_tanh(beta: float) -> Activation:
    """The activation tanh(βh)/β, which has slope 1 at the origin and saturates at 1/β.

    Raises:
        InvalidProblem: If `beta` is not positive and finite.
    """
    return _scaled_tanh(positive("beta", beta, "for its limit at 0 use activation='linear'"))


@lru_cache(maxsize=256)
def _scaled_tanh(beta: float) -> Activation:
    """One value for each number, so that compiled programs are found again."""
    return Activation("scaled_tanh", lambda h: jnp.tanh(beta * h) / beta, parameters=(beta,))


tanh = Activation("tanh", jnp.tanh)
erf = Activation("erf", jax.lax.erf)
relu = Activation("relu", jax.nn.relu, smooth=False)
relu_normalized = Activation(
    "relu_normalized", lambda h: math.sqrt(2) * jax.nn.relu(h), smooth=False
)
softplus = Activation("softplus", jax.nn.softplus)
gelu = Activation("gelu", _gelu)
silu = Activation("silu", jax.nn.silu)
sin = Activation("sin", jnp.sin)
cos = Activation("cos", jnp.cos)
linear = Activation("linear", lambda h: h, linear=True)

_ALL = (tanh, erf, relu, relu_normalized, softplus, gelu, silu, sin, cos, linear)
_NAMED = {known.name: known for known in _ALL}
_OTHER_NAMES = {"swish": "silu", "identity": "linear", "sine": "sin", "cosine": "cos"}


@known_keywords
def activation(spec: Activation | str | Callable[[Array], Array]) -> Activation:
    """Turn a name, a function or an activation into an activation.

    Args:
        spec: An `Activation`; a name such as `"tanh"` or `"scaled_tanh(0.8)"`; or an elementwise
            function written with `jax.numpy`, which is checked on [-6, 6].

    Returns:
        The activation. A function is named by its qualified name and a hash of its values, and
        counts as smooth when its derivative shows no jump on [-6, 6].

    Raises:
        InvalidProblem: If the name is unknown, or the function is not elementwise, not finite or
            has no derivative.
    """
    if isinstance(spec, Activation):
        return spec
    found = scalar(spec)
    if isinstance(found, str):
        return _by_name(found)
    if callable(spec):
        label, smooth = checked_function(spec)
        return Activation(label, spec, smooth=smooth)
    allowed = f"one of the names {', '.join(_NAMED)}, or an elementwise function"
    raise refuse("activation", spec, allowed, "write functions with jax.numpy")


def _by_name(spec: str) -> Activation:
    match = re.fullmatch(r"\s*(\w+)\s*(?:\(([^()]*)\))?\s*", spec)
    name, argument = match.groups() if match else (spec, None)
    if name in _NAMED and argument is None:
        return _NAMED[name]
    if name in _NAMED:
        raise InvalidProblem(
            f"Activation {name!r} takes no parameter, but {spec!r} was given; leave it out."
        )
    if name == "scaled_tanh":
        try:
            return scaled_tanh(float(argument or ""))
        except ValueError as error:
            if isinstance(error, InvalidProblem):
                raise
            raise InvalidProblem(
                f"Activation {spec!r} needs one positive number; write for example "
                "'scaled_tanh(0.8)'."
            ) from None
    known = [*_NAMED, "scaled_tanh"]
    other = _OTHER_NAMES.get(name.lower())
    near = f" That is {other!r} here." if other else nearest(name, known)
    raise InvalidProblem(
        f"Argument `activation` must be a known name, but is {shown(spec)}.{near} "
        f"Known names are {', '.join(_NAMED)} and scaled_tanh(beta); a function written with "
        "jax.numpy is accepted too."
    )
