"""Pushes that span the influences of neurons: one for each prediction, or principal components.

Source: docs/theory/fluctuations.md, Algorithms.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

NOISE = 1e-6
"""Part of the variance of F - u that principal components may leave out."""

TINY = float(np.finfo(float).tiny)


@dataclass(frozen=True)
class Basis:
    """Pushes that span the influences on driving predictions, up to `discarded` of their variance.

    `coefficients` (neuron, mode) times `pushes` are F - u.
    """

    pushes: Float[np.ndarray, "mode step batch output"]
    coefficients: Float[np.ndarray, "neuron mode"]
    discarded: float


def explicit_basis(shares: Float[np.ndarray, "neuron step batch output"]) -> Basis:
    """One push for each driving prediction."""
    size = int(np.prod(shares.shape[1:]))
    pushes = np.eye(size).reshape(size, *shares.shape[1:])
    return Basis(pushes, shares.reshape(len(shares), size), 0.0)


def mode_basis(
    shares: Float[np.ndarray, "neuron step batch output"],
    weights: Float[np.ndarray, " neuron"],
    multiple: int,
) -> Basis:
    """As many principal components of F - u over the neurons as hold nearly all of its variance.

    Their number is a multiple of what goes through time at once, so that no push is wasted and sets
    of neurons share one program.
    """
    flat = shares.reshape(len(shares), -1)
    directions, variances = principal(flat, weights)
    needed, _ = enough(variances, NOISE)
    kept = min(multiple * -(-needed // multiple), len(directions))
    left = max(1 - float(variances[:kept].sum() / max(variances.sum(), TINY)), 0.0)
    directions = directions[:kept]
    return Basis(directions.reshape(kept, *shares.shape[1:]), flat @ directions.T, left)


def principal(
    flat: Float[np.ndarray, "neuron entry"], weights: Float[np.ndarray, " neuron"]
) -> tuple[Float[np.ndarray, "mode entry"], Float[np.ndarray, " mode"]]:
    """Orthonormal principal components of a weighted sample of mean zero, largest first."""
    scaled = np.sqrt(weights)[:, None] * flat
    tall = len(scaled) >= scaled.shape[1]
    value, vector = np.linalg.eigh(scaled.T @ scaled if tall else scaled @ scaled.T)
    value, vector = value[::-1], vector[:, ::-1]
    if not tall:
        vector = np.linalg.qr(scaled.T @ vector)[0]
    return vector.T, value


def enough(sizes: Float[np.ndarray, " mode"], tolerance: float) -> tuple[int, float]:
    """How many modes leave less than a part of the whole, and what they leave."""
    total = max(float(sizes.sum()), TINY)
    left = np.maximum(1 - np.cumsum(sizes) / total, 0.0)
    kept = int(np.argmax(left < tolerance)) + 1 if (left < tolerance).any() else len(left)
    return kept, float(left[kept - 1])


def grouped(
    pushes: Float[np.ndarray, "mode step batch output"], size: int
) -> Float[np.ndarray, "group mode_ step batch output"]:
    """Pushes in groups of equal size, the last filled up with zeros."""
    groups = -(-len(pushes) // size)
    missing = groups * size - len(pushes)
    whole = np.concatenate([pushes, np.zeros((missing, *pushes.shape[1:]))])
    return whole.reshape(groups, size, *pushes.shape[1:])
