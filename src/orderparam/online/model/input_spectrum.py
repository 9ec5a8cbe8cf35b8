"""Inputs whose covariance has a few different eigenvalues, or a power law cut into bins."""

from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int

from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.support.arguments import integer, positive, real
from orderparam.support.arrays import array
from orderparam.support.keywords import KnownKeywords, known_keywords
from orderparam.support.memory import require_numbers
from orderparam.support.plain_methods import PlainMethods

STEEPEST = 20.0
"""Largest exponent of a spectrum that falls as a power; more would leave the finite numbers."""


class InputSpectrum(KnownKeywords, PlainMethods, eqx.Module):
    """Gaussian inputs with independent coordinates in bins of equal variance.

    Every Gaussian input has this form in the eigenbasis of its covariance.

    Args:
        variances: Variance s_b of the coordinates in each bin, positive.
        fractions: Share phi_b of the N coordinates in each bin, positive, of sum 1; equal shares if
            `None`.

    Raises:
        InvalidProblem: If a value is outside its range.

    Example:
        >>> InputSpectrum([2.0, 0.5], [0.25, 0.75]).mean
        0.875
    """

    variances: Float[np.ndarray, " bin"]
    fractions: Float[np.ndarray, " bin"]

    def __init__(self, variances: Any, fractions: Any = None) -> None:
        self.variances = array("variances", variances, (1,))
        bins = self.variances.size
        equal = np.full(bins, 1 / max(bins, 1))
        self.fractions = equal if fractions is None else array("fractions", fractions, (1,))
        if bins == 0 or self.fractions.shape != (bins,):
            raise InvalidProblem(
                f"Argument `fractions` has {self.fractions.size} numbers for {bins} variances; "
                "give one for each of one or more bins."
            )
        for name, values in (("variances", self.variances), ("fractions", self.fractions)):
            if (values <= 0).any():
                raise InvalidProblem(
                    f"Argument `{name}` must be positive, but holds {values.min():g}; drop the bin."
                )
        if abs(self.fractions.sum() - 1) > 1e-9:
            raise InvalidProblem(
                f"Argument `fractions` has the sum {self.fractions.sum():.12g}; divide by it."
            )

    @property
    def bins(self) -> int:
        """Number of bins."""
        return len(self.variances)

    @property
    def mean(self) -> float:
        """Mean variance of a coordinate, E|x|^2/N."""
        return float(self.variances @ self.fractions)

    def sizes(self, dimension: int) -> Int[np.ndarray, " bin"]:
        """Coordinates of each bin at a finite N: N phi_b, rounded so that they add up to N."""
        exact = self.fractions * dimension
        sizes = np.floor(exact + 1e-9).astype(int)
        largest = np.argsort(sizes - exact, kind="stable")
        sizes[largest[: dimension - int(sizes.sum())]] += 1
        return sizes

    def weighted(self, parts: Float[np.ndarray, "*lead bin row unit"]) -> Float[Any, "..."]:
        """Sum over bins of s_b times overlaps: a covariance of pre-activations."""
        return np.einsum("b,...bij->...ij", self.variances, parts)

    def config(self) -> dict[str, Any]:
        """The bins as plain JSON values."""
        return {"variances": self.variances.tolist(), "fractions": self.fractions.tolist()}


@known_keywords
def power_law_inputs(
    exponent: float, bins: int = 8, smallest: float = 1e-2, mean: float = 1.0
) -> InputSpectrum:
    """Bins of a covariance whose eigenvalues fall with their rank i as i^-exponent.

    The law holds for ranks i > `smallest` N, and is flat before. The first bin is the flat part,
    the others have edges in constant ratio up to N; each has the mean eigenvalue of its ranks.

    Args:
        exponent: From 0 to 20.
        bins: Number of bins, two or more.
        smallest: Share of the coordinates in the flat part, in (0, 1).
        mean: Mean eigenvalue, positive.

    Raises:
        InvalidProblem: If a value is outside its range.
    """
    power = real("exponent", exponent, 0.0, STEEPEST)
    share = real("smallest", smallest, 1e-12, 1.0, open_high=True)
    bins = integer("bins", bins, 2, advice="one is the flat part, the others follow the law")
    require_numbers("bins", 8 * bins)
    edges = np.geomspace(share, 1.0, bins)
    primitive = np.log(edges) if power == 1 else edges ** (1 - power) / (1 - power)
    fractions = np.diff(np.concatenate([[0.0], edges]))
    levels = np.concatenate([[share**-power], np.diff(primitive) / np.diff(edges)])
    target = positive("mean", mean)
    return InputSpectrum(levels * target / (levels @ fractions), fractions)


def require_unit_inputs(spectrum: InputSpectrum | None, what: str) -> None:
    """Refuse a formula that is known for inputs of unit variance alone.

    Raises:
        UnsupportedCombination: If the inputs have a spectrum.
    """
    if spectrum is not None:
        raise UnsupportedCombination(
            f"{what} is known for inputs of unit variance alone, but the problem has a `spectrum`; "
            "use the overlap equations (orderparam.solve) instead."
        )
