"""Checks of functions that a user supplies: convexity and proximal points."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from orderparam.errors import InvalidProblem, OrderParamError
from orderparam.support.arguments import one_line

_GRID = np.linspace(-8, 8, 6401)
_STRIDE = 200


@contextmanager
def users_code(what: str) -> Iterator[None]:
    """Turn whatever a user's function raises into an error that says whose it is."""
    try:
        yield
    except OrderParamError:
        raise
    except Exception as error:
        raise InvalidProblem(
            f"{what} failed ({type(error).__name__}: {one_line(error)}); write them with "
            "jax.numpy, entry by entry, for arrays of one number too."
        ) from error


def check_convex(fun: Callable[[Array, Array], Array], label: str) -> None:
    """Refuse a loss whose value at a midpoint exceeds the mean of the ends."""
    z = jnp.asarray(_GRID)
    for y in (-1.0, 1.0):
        values = jnp.asarray(fun(jnp.full_like(z, y), z))
        gap = values[_STRIDE:-_STRIDE] - (values[: -2 * _STRIDE] + values[2 * _STRIDE :]) / 2
        worst = int(jnp.argmax(gap))
        if not bool(jnp.isfinite(values).all()) or gap[worst] > 1e-9 * (
            1 + float(jnp.abs(values).max())
        ):
            raise InvalidProblem(
                f"The loss {label!r} is not convex and finite at z = {_GRID[worst + _STRIDE]:.3g} "
                f"for y = {y:+.0f}; the theory needs a convex loss."
            )


def check_prox(
    fun: Callable[[Array, Array], Array], prox: Callable[..., Array], label: str
) -> None:
    """Refuse a proximal operator that is beaten by a point of a grid."""
    z = jnp.asarray(_GRID)
    for y, omega, V in ((1.0, -0.7, 0.8), (-1.0, 0.4, 2.5), (1.0, 2.3, 0.3), (-1.0, -2.0, 1.0)):
        h = prox(*(jnp.asarray(v) for v in (y, omega, V)))
        best = float(jnp.min((z - omega) ** 2 / (2 * V) + fun(jnp.full_like(z, y), z)))
        got = float((h - omega) ** 2 / (2 * V) + fun(jnp.asarray(y), h))
        if not np.isfinite(got) or got > best + 1e-6 * (1 + abs(best)):
            raise InvalidProblem(
                f"The proximal operator of {label!r} is not the minimiser: at y = {y:+.0f}, omega "
                f"= {omega}, V = {V} it returns {float(h):.6g} with objective {got:.6g}, but "
                f"{best:.6g} is reached."
            )
