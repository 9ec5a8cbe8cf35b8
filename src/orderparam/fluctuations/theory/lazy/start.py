"""Wide networks before training, layer by layer, and how averages answer to their covariances.

Preactivations of layer l are Gaussian of covariance H^l, backward fields of covariance `behind`,

    H^{l+1} = sigma_l^2 Phi^l + sigma_b^2,   Phi^l = E[phi phi'],   slope^l = E[phi'(h) phi'(h')]
    behind^L = 1,   G^l = behind^l slope^l,   behind^l = sigma_l^2 G^{l+1}

A fluctuation of H^l changes the averages Phi^l and slope^l of the neurons behind it. Averages over
pairs are smooth in the two standard deviations and the angle whatever the activation, kinks
included, and known to rounding, so that central differences of them are derivatives.

Source: docs/theory/fluctuations.md, Lazy networks.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from orderparam.kernels import KernelEvolution, Network
from orderparam.numerics.activations import Activation
from orderparam.numerics.closed_forms import angles
from orderparam.numerics.pairs import pair_averages

STEP = 1e-3
"""Half the distance of central differences, of logarithms of scales and of angles."""

PARALLEL = 1e-6
"""Angle below which two inputs are one, which they stay in every network."""

Matrix = Float[np.ndarray, "sample sample"]


class Bend(NamedTuple):
    """Derivatives of an average over pairs by the covariances of the pair.

    dF_uv = across_uv dH_uv + own_uv dH_uu + own_vu dH_vv
    """

    across: Matrix
    own: Matrix

    def __call__(self, dH: Float[np.ndarray, "*n sample sample"]) -> np.ndarray:
        """Changes of the average with changes of the covariance."""
        variance = np.diagonal(dH, axis1=-2, axis2=-1)
        change = self.across * dH + self.own * variance[..., :, None]
        return change + self.own.T * variance[..., None, :]


class Layer(NamedTuple):
    """One hidden layer before training.

    Attributes:
        H: Covariance of preactivations.
        Phi: Feature kernel.
        slope: Average of two slopes.
        behind: Covariance of backward fields before they meet the slope.
        bends: How `Phi` and `slope` answer to `H`; `None` for the first layer, whose H is fixed.
        variance: What multiplies Phi in the covariance of the next layer, and G on the way back.
    """

    H: Matrix
    Phi: Matrix
    slope: Matrix
    behind: Matrix
    bends: tuple[Bend, Bend] | None
    variance: float

    @property
    def G(self) -> Matrix:
        """Gradient kernel."""
        return self.behind * self.slope


class Start(NamedTuple):
    """All layers of a network before training, and the relative error of derivatives."""

    gram: Matrix
    layers: list[Layer]
    error: float


def start_of(evolution: KernelEvolution) -> Start:
    """The network of a problem before training, on its training, then its test samples."""
    network, gram = evolution.network, evolution.data.gram()
    variances = [std**2 for std in network.weight_std]
    behind_each = [*variances[1:], 0.0]
    H, forward, errors = variances[0] * gram + network.bias_std**2, [], [0.0]
    for index, variance in enumerate(behind_each):
        averages = pair_averages(network.activation, H)
        bends = None
        if index > 0:
            *found, error = bends_of(network.activation, H)
            bends = (found[0], found[1])
            errors.append(error)
        errors.append(averages.error)
        forward.append((H, averages.value, averages.slope, bends, variance))
        H = variance * averages.value + network.bias_std**2
    return Start(gram, _backward(network, forward), max(errors))


def _backward(network: Network, forward: list[tuple]) -> list[Layer]:
    layers, behind = [], np.ones_like(forward[0][0])
    for index in reversed(range(network.depth)):
        H, Phi, slope, bends, variance = forward[index]
        layers.insert(0, Layer(H, Phi, slope, behind, bends, variance))
        behind = forward[index - 1][-1] * layers[0].G
    return layers


def bends_of(activation: Activation, H: Matrix) -> tuple[Bend, Bend, float]:
    """Derivatives of `E[phi phi]` and `E[phi' phi']` by the covariance, and their relative error.

    By Richardson extrapolation of two steps, whose largest difference, relative to the largest
    derivative, stands for the error and is far above it.
    """
    fine, coarse = (_differences(activation, H, step) for step in (STEP, 2 * STEP))
    found, errors = [], []
    for one, other in zip(fine, coarse, strict=True):
        # The error of a central difference is four times as large at twice the step.
        found.append(Bend(*((4 * a - b) / 3 for a, b in zip(one, other, strict=True))))
        size = np.abs(np.stack(found[-1])).max()
        apart = np.abs(np.stack(one) - np.stack(other)).max()
        errors.append(apart / size if size > STEP**2 else 0.0)
    return found[0], found[1], float(max(errors))


def _differences(activation: Activation, H: Matrix, step: float) -> tuple[Bend, Bend]:
    size = np.sqrt(np.maximum(np.diagonal(H), 0.0))
    scale, angle = angles(H)
    count, products = len(H), np.outer(scale, scale)
    turn = np.minimum(step, np.minimum(angle, np.pi - angle) / 2)
    longer = np.repeat([np.exp(step), np.exp(-step)], count)
    stretched = pair_averages(activation, np.outer(longer, longer) * np.tile(H, (2, 2)))[:2]
    diagonal = np.eye(count) > 0
    near, far = (
        pair_averages(activation, np.where(diagonal, H, products * np.cos(angle + way)))[:2]
        for way in (turn, -turn)
    )
    apart = np.minimum(angle, np.pi - angle) > PARALLEL
    sine = np.where(apart, np.sin(angle), 1.0)
    inverse = np.where(size > 0, 1 / np.where(size > 0, size, 1.0), 0.0)
    bends = []
    for average, one, other in zip(stretched, near, far, strict=True):
        pairs = average.reshape(2, count, 2, count)
        both = (pairs[0, :, 0] - pairs[1, :, 1]) / (2 * step)
        difference = (pairs[0, :, 1] - pairs[1, :, 0]) / (2 * step)
        by_scale = (both + difference) / 2
        by_angle = np.where(apart, (one - other) / np.where(apart, 2 * turn, 1.0), 0.0) / sine
        across = -by_angle * np.outer(inverse, inverse)
        own = (by_scale + by_angle * np.cos(angle)) * inverse[:, None] ** 2 / 2
        np.fill_diagonal(across, np.diagonal(both) * inverse**2 / 2)
        np.fill_diagonal(own, 0.0)
        bends.append(Bend(across, own))
    return bends[0], bends[1]
