"""Centring and scaling of inputs by what the train set alone knows."""

import numpy as np
from jaxtyping import Float

from orderparam.errors import InvalidProblem
from orderparam.support.arguments import one_of

NORMALISATIONS = ("unit_kernel", "centered", "none")
ROUNDING = 1e-12  # a row this small beside the data is a rounding error of the mean


def normalise(
    x: Float[np.ndarray, "train dimension"],
    x_test: Float[np.ndarray, "test dimension"],
    how: str,
) -> tuple[Float[np.ndarray, "train dimension"], Float[np.ndarray, "test dimension"]]:
    """Centre and scale inputs.

    `"none"` changes nothing; `"centered"` subtracts the mean of each column over the train rows;
    `"unit_kernel"` then scales each row by itself so that x.x / D = 1. The test rows never enter
    the mean.

    Args:
        x: Train inputs, at least one row.
        x_test: Test inputs, possibly no row.
        how: One of `"unit_kernel"`, `"centered"`, `"none"`.

    Returns:
        Train and test inputs, new arrays unless `how` is `"none"`.

    Raises:
        InvalidProblem: If `how` is unknown, or a row equals the mean and cannot be scaled.

    Example:
        >>> normalise(np.array([[0.0, 0.0], [2.0, 4.0]]), np.zeros((0, 2)), "centered")[0]
        array([[-1., -2.],
               [ 1.,  2.]])
    """
    if one_of("normalisation", how, NORMALISATIONS) == "none":
        return x, x_test
    mean = x.mean(axis=0)
    train, test = x - mean, x_test - mean
    if how == "centered":
        return train, test
    size = float(np.abs(x).max())
    return _unit_rows("train", train, size), _unit_rows("test", test, size)


def _unit_rows(
    kind: str, x: Float[np.ndarray, "sample dimension"], size: float
) -> Float[np.ndarray, "sample dimension"]:
    """Scale each row to x.x = D; the largest entry goes first, so that nothing underflows."""
    largest = np.abs(x).max(axis=1, keepdims=True)
    flat = largest[:, 0] <= ROUNDING * size
    if flat.any():
        raise InvalidProblem(
            f"Argument `normalisation` is 'unit_kernel', but {kind} sample {int(flat.argmax())} "
            "equals the mean of the train inputs, so it cannot be scaled to length; use more or "
            "different samples, or normalisation='centered'."
        )
    x = x / largest
    return x * np.sqrt(x.shape[1] / np.sum(x * x, axis=1, keepdims=True))
