"""Neurons before training: a rule without chance where one is exact, scrambled Sobol points else.

A neuron of layer l is its preactivations h ~ N(0, H^l) and its backward fields z, of covariance
`behind`, on all samples. Kernels are averages of phi phi and of phi' phi' z z, so that covariances
of what neurons contribute need fourth moments of z: a rule of degree five has them exactly.

Source: Stroud (1971), E_n^{r^2} 5-3; docs/theory/fluctuations.md, Lazy networks.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from orderparam.fluctuations.theory.lazy.start import Layer, Matrix
from orderparam.fluctuations.theory.sampling import sobol

RANK = 1e-12
"""Eigenvalues of a covariance below this part of the largest are zero."""

MOST = 300
"""Directions up to which linear networks have their rule, of twice the square as many nodes."""

FAR = 10.0
"""Radius of rules in one and two directions."""

FINE, COARSE = (40, 14), (28, 10)
"""Nodes of the radius and of each part of the angles, of a rule and of the one that checks it."""


class Points(NamedTuple):
    """Fields of neurons of one layer, and their weights in averages."""

    h: Float[np.ndarray, "neuron sample"]
    z: Float[np.ndarray, "neuron sample"]
    weights: Float[np.ndarray, " neuron"]


class Sets(NamedTuple):
    """Independent sets of neurons of all layers, or one without chance and a coarser one."""

    sets: list[list[Points]]
    coarser: list[Points] | None


def neurons_of(
    layers: Sequence[Layer], linear: bool, samples: int, replicates: int, seed: int
) -> Sets:
    """Neurons of every layer, by the best of the rules that there is for them."""
    roots = [(root(layer.H), root(layer.behind)) for layer in layers]
    ranks = [(h.shape[1], z.shape[1]) for h, z in roots]
    if linear and max(sum(rank) for rank in ranks) <= MOST:
        return Sets([[_product(*pair, linear=True) for pair in roots]], None)
    if max(max(rank) for rank in ranks) <= 2:
        fine, coarse = ([_product(*pair, size=size) for pair in roots] for size in (FINE, COARSE))
        return Sets([fine], coarse)
    dimension = max(sum(rank) for rank in ranks)
    alike = np.full(samples, 1 / samples)
    sets: list[list[Points]] = [[] for _ in range(replicates)]
    for index, (h, z) in enumerate(roots):
        drawn = sobol(dimension, samples, replicates, len(roots) * seed + index)
        for kept, normals in zip(sets, drawn, strict=True):
            parts = np.split(normals[:, : h.shape[1] + z.shape[1]], [h.shape[1]], axis=1)
            kept.append(Points(parts[0] @ h.T, parts[1] @ z.T, alike))
    return Sets(sets, None)


def root(covariance: Matrix) -> Float[np.ndarray, "sample rank"]:
    """Along the principal directions, as many as there are."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > RANK * max(values[-1], np.finfo(float).tiny)
    kept[-1] = True
    return vectors[:, kept] * np.sqrt(np.maximum(values[kept], 0.0))


def _product(
    h: Float[np.ndarray, "sample rank"],
    z: Float[np.ndarray, "sample rank_"],
    size: tuple[int, int] = FINE,
    linear: bool = False,
) -> Points:
    """Rules of h and z together."""
    if linear:
        nodes, weights = degree_five(h.shape[1] + z.shape[1])
        return Points(nodes[:, : h.shape[1]] @ h.T, nodes[:, h.shape[1] :] @ z.T, weights)
    (first, w), (second, v) = polar(h, size), degree_five(z.shape[1])
    fields = np.repeat(first @ h.T, len(second), axis=0)
    back = np.tile(second @ z.T, (len(first), 1))
    return Points(fields, back, np.outer(w, v).ravel())


def degree_five(
    dimension: int,
) -> tuple[Float[np.ndarray, "node dimension"], Float[np.ndarray, " node"]]:
    """Nodes and weights of the standard normal law, exact for polynomials up to degree five."""
    n, axes = dimension, np.eye(dimension)
    far, near = np.sqrt(n + 2.0), np.sqrt((n + 2.0) / 2)
    pairs = [
        near * (s * axes[i] + r * axes[j])
        for i, j in combinations(range(n), 2)
        for s in (1, -1)
        for r in (1, -1)
    ]
    nodes = np.concatenate([np.zeros((1, n)), far * axes, -far * axes, *([pairs] if pairs else [])])
    weights = np.full(len(nodes), 1 / (n + 2.0) ** 2)
    weights[0] = 2 / (n + 2.0)
    weights[1 : 2 * n + 1] = (4 - n) / (2 * (n + 2.0) ** 2)
    return nodes, weights


def polar(
    rows: Float[np.ndarray, "sample rank"], size: tuple[int, int]
) -> tuple[Float[np.ndarray, "node rank"], Float[np.ndarray, " node"]]:
    """A rule in one or two directions whose parts end where the field of a sample changes sign."""
    x, w = np.polynomial.legendre.leggauss(size[0])
    radius, weight = FAR * (x + 1) / 2, w
    if rows.shape[1] == 1:
        half = weight * np.exp(-(radius**2) / 2)
        nodes = np.concatenate([radius, -radius])[:, None]
        return nodes, np.concatenate([half, half]) / (2 * half.sum())
    weight = weight * radius * np.exp(-(radius**2) / 2)
    zeros = np.mod(np.arctan2(rows[:, 1], rows[:, 0]) + np.pi / 2, np.pi)
    ends = np.unique(np.round(np.concatenate([zeros, [0.0]]), 12))
    ends = np.concatenate([ends, ends + np.pi, [2 * np.pi]])
    x, w = np.polynomial.legendre.leggauss(size[1])
    length = np.diff(ends)[:, None]
    angle = (ends[:-1, None] + length * (x + 1) / 2).ravel()
    share = (length * w / 2).ravel() / (2 * np.pi)
    nodes = np.multiply.outer(radius, np.stack([np.cos(angle), np.sin(angle)], axis=1))
    return nodes.reshape(-1, 2), np.outer(weight / weight.sum(), share).ravel()
