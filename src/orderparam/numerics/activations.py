"""Elementwise activations: the named ones, and any function of the user after a check."""

import difflib
import hashlib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from orderparam.errors import InvalidProblem
from orderparam.numerics.references import Reference, reference, resolved
from orderparam.support.arguments import (
    function,
    one_line,
    positive,
    reals,
    refuse,
    scalar,
    shown,
    text,
    truth,
)
from orderparam.support.settings import library_settings
from orderparam.support.values import attribute

_GRID = np.linspace(-6.0, 6.0, 4097).reshape(17, 241)


@dataclass(frozen=True)
class Activation:
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
sin = Activation("sin", jnp.sin)
cos = Activation("cos", jnp.cos)
linear = Activation("linear", lambda h: h, linear=True)

_NAMED = {a.name: a for a in (tanh, erf, relu, relu_normalized, softplus, gelu, sin, cos, linear)}
_NAMES = (*_NAMED, "scaled_tanh(beta)")


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
        return _by_function(spec)
    allowed = f"one of the names {', '.join(_NAMES)}, or an elementwise function"
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
    near = difflib.get_close_matches(name, [*_NAMED, "scaled_tanh"], n=1, cutoff=0.0)[0]
    raise InvalidProblem(
        f"Argument `activation` must be a known name, but is {shown(spec)}; the nearest "
        f"name is {near!r}. Known names are {', '.join(_NAMES)}; a "
        "function written with jax.numpy is accepted too."
    )


def _by_function(function: Callable[[Array], Array]) -> Activation:
    label = str(attribute(function, "__qualname__") or type(function).__name__)
    with library_settings():
        values, slopes = _on_grid(function, label)
    _require_elementwise(function, label, values)
    # Ten digits, so that the last bits of another machine do not change the name.
    text = ",".join(f"{value:.9e}" for value in values.ravel())
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Activation(f"{label}#{digest}", function, smooth=_is_smooth(slopes.ravel()))


def _on_grid(
    function: Callable[[Array], Array], label: str
) -> tuple[Float[np.ndarray, "row column"], Float[np.ndarray, "row column"]]:
    """Values and derivatives on the grid, in double precision."""
    grid = jnp.asarray(_GRID)
    try:
        values, slopes = jax.jit(lambda h: jax.jvp(function, (h,), (jnp.ones_like(h),)))(grid)
    except Exception as error:
        raise InvalidProblem(
            f"The activation {label} cannot be evaluated and differentiated by JAX "
            f"({type(error).__name__}: {one_line(error)}). Write it with jax.numpy, as "
            "a function of one array."
        ) from error
    if (
        not isinstance(values, jax.Array)
        or values.shape != grid.shape
        or values.dtype != grid.dtype
    ):
        given = [getattr(values, name, type(values).__name__) for name in ("shape", "dtype")]
        raise InvalidProblem(
            f"The activation {label} turns an array of shape {grid.shape} and type {grid.dtype} "
            f"into {given[0]} and {given[1]}; it must act entry by entry and keep both."
        )
    values, slopes = np.asarray(values), np.asarray(slopes)
    if not (np.isfinite(values).all() and np.isfinite(slopes).all()):
        raise InvalidProblem(
            f"The activation {label} or its derivative is not finite somewhere on [-6, 6]; it "
            "must be finite for every input."
        )
    if not slopes.any():
        raise InvalidProblem(
            f"The activation {label} has derivative 0 on all of [-6, 6], so nothing can be "
            "learned through it; use a function with a derivative."
        )
    return values, slopes


def _require_elementwise(
    function: Callable[[Array], Array], label: str, values: Float[np.ndarray, "row column"]
) -> None:
    """Reject a function that mixes entries, such as a softmax: part of the grid must do."""
    with library_settings():
        alone = np.asarray(function(jnp.asarray(_GRID[3:5, 100:107])))
    if alone.shape != (2, 7) or not np.allclose(alone, values[3:5, 100:107], rtol=1e-9, atol=1e-12):
        raise InvalidProblem(
            f"The activation {label} gives other values when it is applied to fewer entries at "
            "once; it must act on every entry alone."
        )


def _is_smooth(slopes: Float[np.ndarray, " point"]) -> bool:
    """Whether the largest step of φ' between grid points shrinks with their distance."""
    coarse = np.abs(np.diff(slopes[::16])).max()
    return bool(np.abs(np.diff(slopes)).max() < coarse / 4 + 1e-12)
