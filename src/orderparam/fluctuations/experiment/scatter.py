"""How networks scatter around their mean and around a limit, in units of 1/N."""

import numpy as np
from jaxtyping import Bool, Float, Int

ROUNDING = 1e-12
"""Rounding of a difference relative to its terms, as comparisons have it."""


def scaled_deviations(
    values: Float[np.ndarray, "width seed ..."],
    valid: Bool[np.ndarray, "width seed"],
    widths: Int[np.ndarray, " width"],
    limit: Float[np.ndarray, "..."] | None = None,
    control: Float[np.ndarray, "width seed ..."] | float = 0.0,
) -> dict[str, Float[np.ndarray, "width seed ..."]]:
    """A quantity of every network, and by suffix what it says of the variance and of the shift.

    `_nvar` is N (o - mean)^2 E/(E - 1), whose mean over the E networks is N times the unbiased
    variance and whose standard error over networks is that of the variance,
    Var sqrt((kurtosis + 2)/E) with the excess kurtosis. `_shift` is N (o - limit - control), with a
    `control` of mean zero.
    """
    count = valid.sum(axis=1)
    shape = (len(widths), 1, *(1,) * (values.ndim - 2))
    N, E = widths.reshape(shape), count.reshape(shape)
    mean = np.nansum(np.where(valid.reshape(*valid.shape, *shape[2:]), values, 0.0), axis=1)
    mean = mean[:, None] / E
    found = {"": values, "_nvar": N * (values - mean) ** 2 * E / (E - 1)}
    if limit is None:
        return found
    left = values - limit - control
    # Differences below the rounding of their terms are none, where both sides are exact.
    least = ROUNDING * (np.abs(values) + np.abs(limit) + np.abs(control))
    return found | {"_shift": N * np.where(np.abs(left) > least, left, 0.0)}
