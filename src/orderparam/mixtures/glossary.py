"""The names of the family: symbol, code name, dimensions, meaning, once for all results."""

import numpy as np
from jaxtyping import Float

from orderparam.mixtures.problem import MixtureERM
from orderparam.results import Coordinate, Variable

_PAIR = ("cluster", "output", "output_")

GLOSSARY: dict[str, tuple[tuple[str, ...], str, str]] = {
    "test_error": ((), "probability of a wrong decision on a fresh sample", r"\varepsilon_g"),
    "train_error": ((), "fraction of wrong decisions on training samples", r"\varepsilon_t"),
    "train_loss": ((), "training loss, mean over samples", r"\mathcal{L}_t"),
    "test_loss": ((), "mean loss of a fresh sample", r"\mathcal{L}_g"),
    "energy": ((), "minimised objective divided by the dimension", r"\mathcal{E}"),
    "penalty": ((), "penalty divided by the dimension, without its strength", r"r(W)/d"),
    "norm": ((), "mean square of the weights", r"\|W\|^2/d"),
    "active": ((), "share of weights that are not zero", r"s"),
    "Q": (_PAIR, "covariance of the outputs of a cluster", r"Q_k"),
    "V": (_PAIR, "response of a cluster", r"V_k"),
    "m": (("cluster", "output"), "mean output of a cluster, without bias", r"m_k"),
    "b": (("output",), "bias", "b"),
    "confusion": (("cluster", "class"), "probability of a decision in a cluster", r"P(c|k)"),
    "residual": ((), "largest relative change by the equations", r"\|F(x) - x\|"),
    "quadrature_error": ((), "largest relative change by a refined rule", r"\delta_q"),
}
"""Dimensions, meaning and LaTeX symbol of every variable; one output has no `output` dimension."""


def variable(
    problem: MixtureERM,
    name: str,
    values: Float[np.ndarray, "..."],
    se: Float[np.ndarray, "..."] | None = None,
    leading: tuple[str, ...] = (),
    bias: Float[np.ndarray, "..."] | None = None,
) -> Variable:
    """A variable of the glossary, with extra `leading` dimensions where a result has them."""
    dims, meaning, symbol = GLOSSARY[name]
    if "output" in dims and outputs(problem) == 1:
        dims = tuple(dim for dim in dims if dim not in ("output", "output_"))
    return Variable((*leading, *dims), values, meaning, symbol, se=se, bias=bias)


def coordinates(problem: MixtureERM) -> dict[str, Coordinate]:
    """Coordinates that theory and experiment share."""
    mixture = problem.mixture
    coords = {
        "cluster": Coordinate(("cluster",), np.arange(mixture.clusters), "cluster"),
        "label": Coordinate(("cluster",), mixture.labels, "class of the cluster"),
        "class": Coordinate(("class",), np.arange(mixture.classes), "class"),
    }
    if problem.alpha.ndim:
        coords["alpha"] = Coordinate(("alpha",), problem.alpha, "samples per dimension n/d")
    if problem.strength.ndim:
        coords["strength"] = Coordinate(
            ("strength",), problem.strength, "strength λ of the penalty"
        )
    if outputs(problem) > 1:
        for name in ("output", "output_"):
            coords[name] = Coordinate((name,), np.arange(outputs(problem)), "output")
    return coords


def outputs(problem: MixtureERM) -> int:
    """Outputs that results speak of: one for binary losses, one a class for one-hot codes."""
    return 1 if one_output(problem) else problem.mixture.classes


def one_output(problem: MixtureERM) -> bool:
    """Whether labels are -1 and +1 instead of one-hot."""
    codes = problem.codes
    return codes.shape[1] == 1 and bool(np.all(np.abs(codes) == 1))


def lifted(
    problem: MixtureERM, values: Float[np.ndarray, "..."], axes: int
) -> Float[np.ndarray, "..."]:
    """From the outputs that are computed with to those of the user, over the last `axes` axes.

    One-hot losses are computed in coordinates orthogonal to the constant direction.
    """
    if one_output(problem):
        return values[(..., *[0] * axes)]
    codes = problem.codes
    if axes == 1:
        return values @ codes.T
    return codes @ values @ codes.T
