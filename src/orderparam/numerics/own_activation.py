"""An activation that a user wrote: checked on a grid, and named by its values."""

import hashlib
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from orderparam.errors import InvalidProblem
from orderparam.support.arguments import one_line
from orderparam.support.settings import library_settings
from orderparam.support.values import attribute

_GRID = np.linspace(-6.0, 6.0, 4097).reshape(17, 241)


def checked_function(function: Callable[[Array], Array]) -> tuple[str, bool]:
    """The name of a user's function, and whether its derivative is continuous.

    The name is its qualified name and a hash of its values on [-6, 6], where it is checked; it
    counts as smooth when its derivative shows no jump there.

    Raises:
        InvalidProblem: If the function is not elementwise, not finite or has no derivative.
    """
    label = str(attribute(function, "__qualname__") or type(function).__name__)
    with library_settings():
        values, slopes = _on_grid(function, label)
    _require_elementwise(function, label, values)
    # Ten digits, so that the last bits of another machine do not change the name.
    text = ",".join(f"{value:.9e}" for value in values.ravel())
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"{label}#{digest}", _is_smooth(slopes.ravel())


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
