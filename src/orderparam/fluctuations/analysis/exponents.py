"""How ensembles approach their limit with the width: two exponents, and whether they are Gaussian.

Source: docs/theory/fluctuations.md, Exponents and Gaussianity.
"""

import numpy as np
import xarray as xr
from jaxtyping import Float

from orderparam.errors import InvalidProblem
from orderparam.fluctuations.glossary import QUANTITIES
from orderparam.results import Solution
from orderparam.results.pair import Pair
from orderparam.support.arguments import instance, one_of, refuse
from orderparam.support.keywords import known_keywords

RESOLVED = 3.0
"""Standard errors above zero from which a width enters the fit of an exponent."""

NOTHING = 1e-24
"""Mean square of the deviations, relative to the largest, below which an entry does not vary."""

Runs = Float[np.ndarray, "seed entry"]


@known_keywords
def width_exponents(theory: Solution, networks: Solution, *, variable: str = "f") -> xr.Dataset:
    """How mean square deviations from the limit fall with the width, and squared mean deviations.

    mean (o_N - o)^2 = (Sigma + beta^2/N)/N ~ N^-1,   (mean o_N - o)^2 = beta^2/N^2 ~ N^-2

    both averaged over time and entries. The second is freed of what the scatter of the mean adds,
    Var/E. Ensembles that were trained without a control variate drown it above a width of
    E beta^2/Sigma; widths at which it is not 3 standard errors above zero do not enter its fit.

    Args:
        theory: A solution with variances and shifts.
        networks: Ensembles of the same problem at two widths or more, by `simulate`; best with
            `control=True`, of which the mean deviations are taken where there are any.
        variable: A quantity that both have.

    Returns:
        By `width`: `scatter`, the mean square deviation, and `shift`, the squared mean deviation,
        with `_se`; `drowned_width`, E beta^2/Sigma for the E networks of that width. For all
        widths: `scatter_exponent` and `shift_exponent` with `_se`, NaN where fewer than two widths
        enter.

    Raises:
        InvalidProblem: If an argument is outside its range, the theory has no shift of the
            variable, or there is a single width.
    """
    pair, variable = _pair(theory, networks, variable)
    limit = theory[variable].values.ravel()
    ratio = _ratio(theory, variable)
    rows = []
    for width in pair.sizes:
        deviations = _entries(pair, variable, width) - limit
        shifted = f"{variable}_shift"
        means = _entries(pair, shifted, width) / width if shifted in networks else deviations
        squares = np.mean(deviations**2, axis=1)
        scatter_se = squares.std(ddof=1) / np.sqrt(len(squares))
        rows.append((squares.mean(), scatter_se, *_squared_mean(means), len(means) * ratio))
    scatter, scatter_se, shift, shift_se, drowned = np.array(rows).T
    found = {
        "scatter": scatter, "scatter_se": scatter_se, "shift": shift, "shift_se": shift_se,
        "drowned_width": drowned,
    }  # fmt: skip
    data = xr.Dataset({name: ("width", values) for name, values in found.items()})
    for name, values, error in (("scatter", scatter, scatter_se), ("shift", shift, shift_se)):
        slope, se = _exponent(np.array(pair.sizes, float), values, error)
        data[f"{name}_exponent"], data[f"{name}_exponent_se"] = slope, se
    return data.assign_coords(width=pair.sizes)


@known_keywords
def gaussianity(networks: Solution, *, variable: str = "f") -> xr.Dataset:
    """Skewness and excess kurtosis of a quantity over the networks of each width.

    At leading order N^{1/2} (o_N - o) is Gaussian: both are zero, and at finite width the skewness
    falls as N^{-1/2}, the excess kurtosis as 1/N.

    Args:
        networks: Ensembles by `simulate`, of at least 8 networks at each width.
        variable: A quantity.

    Returns:
        `skewness` and `excess_kurtosis` by width and entry, each with its standard error (jackknife
        over networks) as `_se`; NaN where nothing varies.

    Raises:
        InvalidProblem: If an argument is outside its range, or there are too few networks.
    """
    _networks(networks)
    variable = _known(variable, networks)
    pair = Pair(networks, networks)
    first = pair.runs(variable, pair.sizes[0]).isel(seed=0, drop=True).drop_vars("width")
    parts: dict[str, list[np.ndarray]] = {}
    for width in pair.sizes:
        values = _entries(pair, variable, width)
        if len(values) < 8:
            raise refuse("networks", networks, "at least 8 networks of each width", "train more")
        for name, found in zip(("skewness", "excess_kurtosis"), _shape(values), strict=True):
            for ending, one in zip(("", "_se"), found, strict=True):
                parts.setdefault(name + ending, []).append(one.reshape(first.shape))
    dims = ("width", *first.dims)
    data = xr.Dataset({name: (dims, np.stack(rows)) for name, rows in parts.items()})
    return data.assign_coords({**first.coords, "width": pair.sizes})


def _shape(
    values: Runs,
) -> tuple[Float[np.ndarray, "2 entry"], Float[np.ndarray, "2 entry"]]:
    """Skewness and excess kurtosis, each with its jackknife error, in rows."""
    values = values - values.mean(axis=0)
    count = len(values)
    powers = [np.sum(values**k, axis=0) for k in range(1, 5)]
    size = powers[1] / count
    still = size <= NOTHING * max(float(size.max()), np.finfo(float).tiny)
    whole = _standardised([p / count for p in powers])
    left = _standardised([(p - values**k) / (count - 1) for k, p in enumerate(powers, start=1)])
    found = []
    for one, without in zip(whole, left, strict=True):
        spread = np.sum((without - without.mean(axis=0)) ** 2, axis=0) * (count - 1) / count
        found.append(np.where(still, np.nan, np.stack([one, np.sqrt(spread)])))
    return found[0], found[1]


def _standardised(
    moments: list[Float[np.ndarray, "..."]],
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Skewness and excess kurtosis from the first four moments about any point."""
    a, b, c, d = moments
    variance = np.maximum(b - a**2, 1e-150)  # whose powers are numbers still
    third = c - 3 * a * b + 2 * a**3
    fourth = d - 4 * a * c + 6 * a**2 * b - 3 * a**4
    return third / variance**1.5, fourth / variance**2 - 3


def _squared_mean(values: Runs) -> tuple[float, float]:
    """Mean over entries of the squared mean over networks, free of bias, and its jackknife error.

    mean^2 - Var/E = sum over pairs of different networks of o_r o_s / (E (E - 1)).
    """
    count, total = len(values), values.sum(axis=0)
    own = np.mean(values**2, axis=1)
    pairs = np.mean(total**2) - own.sum()
    without = pairs - 2 * (np.mean(values * total, axis=1) - own)
    estimates = without / ((count - 1) * (count - 2))
    spread = np.sum((estimates - estimates.mean()) ** 2) * (count - 1) / count
    return float(pairs / (count * (count - 1))), float(np.sqrt(spread))


def _exponent(
    widths: Float[np.ndarray, " width"],
    values: Float[np.ndarray, " width"],
    errors: Float[np.ndarray, " width"],
) -> tuple[float, float]:
    """Slope of log value against log width with its standard error, weighted by the errors."""
    used = values > RESOLVED * errors
    if used.sum() < 2:
        return float("nan"), float("nan")
    x, y = np.log(widths[used]), np.log(values[used])
    weight = (values[used] / errors[used]) ** 2
    x = x - np.average(x, weights=weight)
    size = float(np.sum(weight * x**2))
    return float(np.sum(weight * x * y) / size), float(size**-0.5)


def _ratio(theory: Solution, variable: str) -> float:
    """beta^2/Sigma, both averaged over time and entries; infinite where nothing scatters."""
    beta, Sigma = (theory[variable + ending].values for ending in ("_shift", "_nvar"))
    size = float(np.mean(Sigma))
    return float(np.mean(beta**2)) / size if size > 0 else float("inf")


def _entries(pair: Pair, name: str, width: int) -> Runs:
    """One variable of all networks of a width, entries in a row."""
    runs = pair.runs(name, width).transpose("seed", ...).values
    return np.asarray(runs, np.float64).reshape(len(runs), -1)


def _pair(theory: Solution, networks: Solution, variable: str) -> tuple[Pair, str]:
    """Theory and networks of one problem, and a quantity that both have."""
    instance("theory", theory, Solution, "give what orderparam.solve returned")
    if theory.family != "fluctuations" or theory.kind != "theory":
        raise refuse("theory", theory, "a theory of finite-width fluctuations", "solve one")
    _networks(networks)
    variable = _known(variable, networks)
    if f"{variable}_nvar" not in theory or f"{variable}_shift" not in theory:
        raise refuse("theory", theory, f"one with variance and shift of {variable}",
                     "solve with Influence(shift=True)")  # fmt: skip
    if theory.problem != networks.problem:
        raise InvalidProblem("`theory` and `networks` are of different problems; give one's own.")
    pair = Pair(theory, networks)
    if len(pair.sizes) < 2:
        raise refuse("networks", networks, "ensembles of two widths or more", "simulate another")
    return pair, variable


def _networks(networks: Solution) -> None:
    """Ensembles of this family."""
    instance("networks", networks, Solution, "give what orderparam.simulate returned")
    if networks.family != "fluctuations" or networks.kind != "experiment":
        raise refuse("networks", networks, "ensembles of networks of FiniteWidth", "simulate them")


def _known(variable: str, networks: Solution) -> str:
    return one_of("variable", variable, tuple(n for n in QUANTITIES if n in networks))
