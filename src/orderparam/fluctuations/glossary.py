r"""The names of finite-width fluctuations, once for theory and experiment.

Each quantity NAME of kernel evolution has its limit under its own name, and besides

    NAME_nvar         N Var[NAME_N], over initialisations
    NAME_nvar_layer   the part of it that comes from the neurons of one layer (dimension `source`)
    NAME_ncov         N Cov[NAME_N(t), NAME_N(s)], on request (dimensions `time` and `time_`)
    NAME_shift        N (E[NAME_N] - NAME), the mean shift beta
    NAME_noise        the part of the shift of losses that the scatter of predictions causes

The mean shift is no `NAME_bias`: in every result that ending names a known error of the computed
number, while the shift is a property of networks.
"""

import numpy as np
from jaxtyping import Float, Int

from orderparam.fluctuations.problem import FiniteWidth
from orderparam.kernels import (
    KERNEL_GLOSSARY,
    KernelEvolution,
    kernel_coordinates,
    kernel_layout,
)
from orderparam.results import Coordinate, Variable

QUANTITIES = (
    *("f", "Delta", "loss", "test_loss", "mse", "test_mse", "Phi", "G", "ntk"),
    *("ntk_eigenvalues", "alignment", "Phi_alignment"),
)
"""Quantities of kernel evolution whose fluctuations are followed."""

ENTRYWISE = ("Phi", "G", "ntk")
"""Quantities of which each entry has its covariance with itself at other times alone."""

SUFFIXES: dict[str, tuple[str, str]] = {
    "": ("{}", "{}"),
    "_nvar": ("width times the variance over networks of {}", r"N\,\mathrm{{Var}}[{}]"),
    "_nvar_layer": (
        "part of width times the variance that the neurons of one layer cause, of {}",
        r"N\,\mathrm{{Var}}_\ell[{}]",
    ),
    "_ncov": (
        "width times the covariance over networks at two times of {}",
        r"N\,\mathrm{{Cov}}[{}]",
    ),
    "_shift": (
        "width times the difference of the mean over networks and the limit, of {}",
        r"N\,\langle {0} - {0}_\infty\rangle",
    ),
    "_noise": (
        "part of the shift that the scatter of predictions causes, of {}",
        r"N\,\langle {0} - {0}_\infty\rangle_{{\Sigma}}",
    ),
}
"""Endings of names, with meaning and symbol around those of the quantity."""


def variable(
    problem: FiniteWidth,
    quantity: str,
    suffix: str,
    values: Float[np.ndarray, "..."],
    *,
    se: Float[np.ndarray, "..."] | None = None,
    bias: Float[np.ndarray, "..."] | None = None,
    leading: tuple[str, ...] = (),
) -> Variable:
    """A variable of the glossary, with extra `leading` dimensions where a result has them."""
    dims, meaning, symbol = KERNEL_GLOSSARY[quantity]
    if problem.evolution.data.outputs == 1:
        dims = tuple(dim for dim in dims if dim not in ("output", "output_"))
    if suffix == "_nvar_layer":
        leading = (*leading, "source")
    if suffix == "_ncov":
        again = ("time_",) if quantity in ENTRYWISE else tuple(f"{dim}_" for dim in dims)
        dims = ("time", *again, *dims[1:]) if quantity in ENTRYWISE else (*dims, *again)
    around, sign = SUFFIXES[suffix]
    return Variable(
        (*leading, *dims), values, around.format(meaning), sign.format(symbol), se=se, bias=bias
    )


def separated(
    evolution: KernelEvolution, quantity: str, values: Float[np.ndarray, "..."]
) -> Float[np.ndarray, "..."]:
    """Separate samples from outputs, which share axes, or drop the one output."""
    outputs = evolution.data.outputs
    if quantity in ("f", "Delta") and outputs == 1:
        return values[..., 0]
    if quantity in ("G", "ntk") and outputs > 1:
        samples = values.shape[-1] // outputs
        return values.reshape(*values.shape[:-2], samples, outputs, samples, outputs)
    return values


def separated_pairs(
    evolution: KernelEvolution, quantity: str, values: Float[np.ndarray, "..."]
) -> Float[np.ndarray, "..."]:
    """The same for covariances, whose axes come twice (once for kernels, after two times)."""
    if quantity in ENTRYWISE:
        return separated(evolution, quantity, values)
    half = values.ndim // 2
    for _ in range(2):  # the axes of either half, brought to the end
        kept = values.ndim - half
        values = np.moveaxis(values, range(half), range(kept, kept + half))
        values = separated(evolution, quantity, values)
    return values


def coordinates(problem: FiniteWidth, steps: Int[np.ndarray, " time"]) -> dict[str, Coordinate]:
    """Coordinates that theory and experiment share."""
    return kernel_coordinates(problem.evolution, steps)


def sources(problem: FiniteWidth) -> Coordinate:
    """The layers whose neurons are random; those of a residual network share all of them."""
    evolution = problem.evolution
    layers = np.arange(1, len(kernel_layout(evolution).spaces) + 1)
    return Coordinate(("source",), layers, "hidden layer whose neurons fluctuate")
