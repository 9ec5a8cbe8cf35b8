"""Averages of two activations over correlated Gaussians, where a formula is known.

With (u, v) Gaussian of mean 0 and covariance K, for each activation E[phi(u) phi(v)] and
E[phi'(u) phi'(v)]:

- erf: (2/pi) asin(2 K_uv / d), d^2 = (1 + 2 K_uu)(1 + 2 K_vv), and (4/pi)/sqrt(d^2 - 4 K_uv^2)
- max(0, h): sqrt(K_uu K_vv) (sin t + (pi - t) cos t)/(2 pi) and (pi - t)/(2 pi), cos t = rho
- sin and cos: exp(-(K_uu + K_vv)/2) times sinh(K_uv) or cosh(K_uv)
- h itself: K_uv and 1

Sources: Williams (1997) for erf; Cho & Saul (2009) for max(0, h); docs/theory/kernels.md, Kernels
at initialisation.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from orderparam.numerics.activations import Activation, cos, erf, linear, relu, relu_normalized, sin

Matrix = Float[np.ndarray, "row row"]
Averages = tuple[Matrix, Matrix]


def closed_form(activation: Activation) -> Callable[[Matrix], Averages] | None:
    """What turns a covariance into `E[phi(u) phi(v)]` and `E[phi'(u) phi'(v)]`, if it is known."""
    return _KNOWN.get(activation)


def angles(covariance: Matrix) -> tuple[Float[np.ndarray, " row"], Matrix]:
    """Standard deviations, and the angle between each two variables, from 0 to pi.

    The angle of a variable that is zero with any other is pi/2.
    """
    scale = np.sqrt(np.maximum(np.diagonal(covariance), 0.0))
    norm = np.where(scale > 0, scale, 1.0)
    rho = np.clip(covariance / np.outer(norm, norm), -1, 1)
    np.fill_diagonal(rho, np.where(scale > 0, 1.0, 0.0))
    # Near 0 and pi the arc cosine loses half of the digits, the arc tangent none.
    return scale, np.arctan2(np.sqrt((1 - rho) * (1 + rho)), rho)


def _erf(covariance: Matrix) -> Averages:
    wide = 1 + 2 * np.diagonal(covariance)
    square = np.outer(wide, wide)
    value = 2 / np.pi * np.arcsin(np.clip(2 * covariance / np.sqrt(square), -1, 1))
    return value, 4 / np.pi / np.sqrt(square - 4 * covariance**2)


def _relu(covariance: Matrix) -> Averages:
    scale, angle = angles(covariance)
    size = np.outer(scale, scale)
    value = size * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi)
    # max(0, h) has slope 0 at 0, for the finite network too.
    return value, np.where(size > 0, (np.pi - angle) / (2 * np.pi), 0.0)


def _relu_normalized(covariance: Matrix) -> Averages:
    value, slope = _relu(covariance)
    return 2 * value, 2 * slope


def _waves(covariance: Matrix) -> Averages:
    """Averages of two sines and of two cosines."""
    half = np.diagonal(covariance) / 2
    damped = half[:, None] + half
    near, far = np.exp(covariance - damped), np.exp(-covariance - damped)
    return (near - far) / 2, (near + far) / 2


def _cos(covariance: Matrix) -> Averages:
    sines, cosines = _waves(covariance)
    return cosines, sines


_KNOWN: dict[Activation, Callable[[Matrix], Averages]] = {
    erf: _erf,
    relu: _relu,
    relu_normalized: _relu_normalized,
    sin: _waves,
    cos: _cos,
    linear: lambda covariance: (covariance, np.ones_like(covariance)),
}
