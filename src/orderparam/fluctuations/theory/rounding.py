"""Rectifiers whose kink is rounded over a width e, for derivatives along paths.

A kink has no second derivative, and that of neurons which gradient descent piles up at it is what
fluctuations of kernels consist of. Rounded forward and backward alike,

    phi_e(h) = h C(h/e) + e C'(h/e),  C the normal distribution function,

it is smooth, and its fluctuations are those of networks with that activation. What contains
no slope phi' comes to its limit linearly in e, and two widths give it; what does comes so slowly
that no extrapolation is to be trusted.

Source: docs/theory/fluctuations.md, Kinks.
"""

import functools
import math
from dataclasses import replace

import jax.numpy as jnp
from jax.scipy.stats import norm
from jaxtyping import Array, Float

from orderparam.fluctuations.theory.functions import Observed
from orderparam.fluctuations.theory.statistics import Moments
from orderparam.kernels import Activation, KernelEvolution

SIZES = {"relu": 1.0, "relu_normalized": math.sqrt(2)}
"""Rectifiers by name, with their slope on the right."""

WITH_SLOPE = ("G", "ntk", "ntk_eigenvalues", "alignment")
"""Variables that contain phi'."""


@functools.lru_cache(maxsize=64)
def rounded(name: str, width: float) -> Activation:
    """The rectifier of that name, rounded over `width`; one value for each, which programs keep."""

    def function(h: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        ratio = h / width
        return SIZES[name] * (h * norm.cdf(ratio) + width * norm.pdf(ratio))

    return Activation(f"rounded_{name}", function, parameters=(width,))


def with_rounding(evolution: KernelEvolution, width: float) -> KernelEvolution:
    """The same training with the kink rounded over `width`."""
    network = evolution.network
    smooth = replace(network, activation=rounded(network.activation.name, width))
    return replace(evolution, network=smooth)


def extrapolated(coarse: Moments, fine: Moments) -> Moments:
    """Moments without rounding, from those over a width and over half of it."""

    def line(a: Observed, b: Observed) -> Observed:
        return {n: 2 * b[n] - a[n] for n in b}

    pairs = [
        None if a is None or b is None else line(a, b)
        for a, b in zip(coarse[2:], fine[2:], strict=True)
    ]
    limit, variance = line(coarse.limit, fine.limit), line(coarse.variance, fine.variance)
    # Where they vanish a line may end below 0; what that cuts off is in the stated bias.
    variance = {n: jnp.maximum(v, 0.0) for n, v in variance.items()}
    return without_slopes(Moments(limit, variance, *pairs))


def without_slopes(found: Moments) -> Moments:
    """Limits of all variables, fluctuations of those without phi'."""

    def kept(part: Observed) -> Observed:
        return {n: v for n, v in part.items() if n not in WITH_SLOPE}

    rest = [part if part is None else kept(part) for part in found[2:]]
    return Moments(found.limit, kept(found.variance), *rest)
