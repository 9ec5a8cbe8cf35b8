"""Roots of one number."""

from collections.abc import Callable

from scipy import optimize


def bracketed_root(
    function: Callable[[float], float], low: float, high: float, tolerance: float
) -> float:
    """The root between two points of opposite sign, by Brent's method."""
    root: float = optimize.brentq(function, low, high, xtol=tolerance)  # type: ignore[assignment]
    return float(root)
