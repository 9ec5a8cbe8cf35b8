"""A plain fixed point in NumPy: what one would write for two opposite clusters in an afternoon.

Scalars V, Q, m, b; the logistic channel on the same nodes as the library, with proximal points by
Newton's method, that of the hinge in closed form; a damped iteration until the equations change
nothing by more than the library's tolerance.
"""

from typing import Any

import numpy as np
from scipy import special

from orderparam.numerics.gaussian import gaussian_rule

DAMPING = 0.5
TOLERANCE = 1e-10
MOST = 20000
SIGNS = np.array([-1.0, 1.0])


def test_error(problem: Any) -> tuple[float, int]:
    """Test error and evaluations for two opposite clusters of one covariance, with l2."""
    delta = float(problem.mixture.spectrum.variances[0, 0])
    alpha, strength = float(problem.alpha), float(problem.strength)
    rho, channel = problem.mixture.weights, {"logistic": _logistic, "hinge": _hinge}
    V, Q, m, b = min(delta / strength, 1.0), 0.5, 0.1, 0.0
    count = 0
    while (count := count + 1) < MOST:
        # Averages of y f, f^2 and the slope in both clusters, at the mean y (y m + b) of y omega.
        f, ff, slope = channel[problem.loss.name](m + SIGNS * b, Q, V)
        drift, noise, curved = (alpha * float(rho @ part) for part in (f, ff, slope))
        pull = alpha * float(rho @ (SIGNS * f))
        r = 1 / (strength + curved * delta)
        new = np.array([delta * r, delta * r**2 * (noise * delta + drift**2), drift * r])
        change = np.abs(new - [V, Q, m]) / np.array([V, Q, np.sqrt(Q)])
        if max(change.max(), abs(pull) / abs(drift)) <= TOLERANCE:
            break
        V, Q, m = (1 - DAMPING) * new + DAMPING * np.array([V, Q, m])
        b += (1 - DAMPING) * pull / curved
    wrong = special.ndtr(-(m + SIGNS * b) / np.sqrt(Q))
    return float(rho @ wrong), count


def _logistic(mean: np.ndarray, Q: float, V: float) -> tuple[np.ndarray, ...]:
    """By quadrature; Newton's method, with steps kept inside the bracket."""
    x, w = gaussian_rule(1, 201)
    s = mean[:, None] + np.sqrt(Q) * x[:, 0]
    low, high = s, s + V
    u = (low + high) / 2
    for _ in range(100):
        below = special.expit(-u)
        value = u - s - V * below
        low, high = np.where(value < 0, u, low), np.where(value < 0, high, u)
        new = u - value / (1 + V * below * (1 - below))
        new = np.where((new < low) | (new > high), (low + high) / 2, new)
        moved, u = np.abs(new - u).max(), new
        if moved < 1e-12:
            break
    f = special.expit(-u)
    curved = f * (1 - f)
    return f @ w, f**2 @ w, curved / (1 + V * curved) @ w


def _hinge(mean: np.ndarray, Q: float, V: float) -> tuple[np.ndarray, ...]:
    """In closed form."""
    gap, s = 1 - mean, np.sqrt(Q)
    t0, t1 = -gap / s, (V - gap) / s
    between, beyond = special.ndtr(t1) - special.ndtr(t0), special.ndtr(-t1)
    p0, p1 = (np.exp(-(t**2) / 2) / np.sqrt(2 * np.pi) for t in (t0, t1))
    f = (gap * between + s * (p0 - p1)) / V + beyond
    ff = ((gap**2 + Q) * between + s * (gap * p0 - (gap + V) * p1)) / V**2 + beyond
    return f, ff, between / V
