"""What stands between units and error: second layers, output normalisation, centring."""

from typing import Any

import numpy as np
from jaxtyping import Float

from orderparam.errors import InvalidProblem
from orderparam.online.model.activations import label_of
from orderparam.support.arguments import one_of, positive, real, scalar, shown
from orderparam.support.arrays import array

CENTERINGS = ("none", "constant", "population")


def normalisations(normalisation: Any, students: int, teachers: int) -> tuple[float, float]:
    """Output normalisation kappa of student and teacher."""
    if isinstance(scalar(normalisation), str):
        word = one_of("normalisation", normalisation, ("width", "one"))
        return (float(students), float(teachers)) if word == "width" else (1.0, 1.0)
    value = positive("normalisation", normalisation)
    return value, value


def layer_weights(name: str, value: Any, units: int) -> Float[np.ndarray, " unit"]:
    """Second-layer weights, ones by default."""
    weights = np.ones(units) if value is None else array(name, value, (1,))
    if weights.shape != (units,):
        raise InvalidProblem(
            f"Argument `{name}` has {weights.size} numbers for {units} units; give one for each."
        )
    return weights


def centering_of(value: Any, activation: Any) -> str | float:
    """A known word or a finite offset, and only where it has a meaning."""
    chosen = (
        one_of("centering", value, CENTERINGS)
        if isinstance(scalar(value), str)
        else real("centering", value)
    )
    if activation != "quadratic" and chosen != "none":
        raise InvalidProblem(
            f"Argument `centering` is {shown(value)}, which is defined for the quadratic "
            f'activation alone, not for {label_of(activation)!r}; use "none".'
        )
    return chosen
