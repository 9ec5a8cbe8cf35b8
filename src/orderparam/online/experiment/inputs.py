"""What the direct experiment draws its inputs from."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from orderparam.data import Data
from orderparam.errors import InvalidProblem
from orderparam.online.model.input_spectrum import InputSpectrum
from orderparam.support.arguments import one_of
from orderparam.support.arrays import array


class Inputs(eqx.Module):
    """A law of inputs: standard Gaussian, a Gaussian of given covariance, or a finite set.

    Args:
        rows: The set (sampled with replacement), the root L^T of the covariance, or one row of
            standard deviations of independent coordinates.
        kind: `"gaussian"`, `"spectrum"`, `"covariance"` or `"set"`.
    """

    rows: Float[Array, "row N"] | None
    kind: str = eqx.field(static=True)

    def draw(self, key: Array, count: int, dimension: int, dtype: Any) -> Float[Array, "batch N"]:
        """`count` inputs."""
        if self.rows is None:
            return jax.random.normal(key, (count, dimension), dtype)
        if self.kind == "set":
            return self.rows[jax.random.randint(key, (count,), 0, len(self.rows))]
        if self.kind == "spectrum":
            return jax.random.normal(key, (count, dimension), dtype) * self.rows[0]
        return jax.random.normal(key, (count, len(self.rows)), dtype) @ self.rows

    def squares(self, weights: Float[Array, "unit N"]) -> Float[Array, " unit"]:
        """Mean square of the pre-activations, for independent coordinates."""
        if self.rows is not None and self.kind == "spectrum":
            weights = weights * self.rows[0]
        return jnp.mean(weights**2, axis=1)


def inputs_of(
    data: Any,
    kind: str | None,
    dimension: int,
    precision: str,
    spectrum: InputSpectrum | None = None,
) -> Inputs:
    """Inputs of a problem, or from a user's data: centred, with mean square length N.

    Args:
        data: `None` for standard Gaussian inputs, else a `Data` or an array (sample, N).
        kind: `"set"` (samples with replacement) or `"covariance"` (Gaussian surrogate).
        dimension: N.
        precision: Precision of the run.
        spectrum: Of the problem's inputs, `None` for unit variances.

    Raises:
        InvalidProblem: If the data do not have N columns or do not vary.
    """
    if spectrum is not None and data is not None:
        raise InvalidProblem(
            "The problem has inputs of its own (`spectrum`), but `inputs` are given too; leave "
            "out one."
        )
    if data is None:
        if kind is not None:
            raise InvalidProblem(
                f"Argument `inputs_as` is {kind!r}, but no `inputs` are given; give both."
            )
        if spectrum is None:
            return Inputs(None, "gaussian")
        scales = np.repeat(np.sqrt(spectrum.variances), spectrum.sizes(dimension))
        return Inputs(jnp.asarray(scales[None], precision), "spectrum")
    kind = one_of("inputs_as", "set" if kind is None else kind, ("set", "covariance"))
    rows = standardised(data)
    if rows.shape[1] != dimension:
        raise InvalidProblem(
            f"The inputs have {rows.shape[1]} columns, but `dimension` is {dimension}; simulate in "
            "the dimension of the inputs."
        )
    if kind == "covariance":
        values, vectors = np.linalg.eigh(rows.T @ rows / len(rows))
        rows = np.sqrt(np.clip(values, 0.0, None))[:, None] * vectors.T
    return Inputs(jnp.asarray(rows, precision), kind)


def standardised(data: Any) -> Float[np.ndarray, "row N"]:
    """The inputs minus their mean, in units in which their mean square is 1."""
    rows = array("inputs", data.x if isinstance(data, Data) else data, (2,))
    rows = rows - rows.mean(axis=0)
    spread = np.sqrt(np.mean(rows**2))
    if len(rows) < 2 or spread == 0:
        raise InvalidProblem("Argument `inputs` needs two or more different rows; add some.")
    return rows / spread
