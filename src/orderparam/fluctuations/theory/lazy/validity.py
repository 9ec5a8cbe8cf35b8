"""How far a problem is from the lazy limit.

Weights of a neuron start with variance 1 and move, on squared average,

    m^2 = gamma0^2 S^T K S,   S = (eta/P) sum_{s < t} Delta(s)

over all of its layers, the one small number of the expansion at gamma0 -> 0: one linear neuron per
layer and one sample of label 1 have m^2 = gamma0^2/2 at the end, K/K(0) = (1 + 2 m^2)^{1/2}
and, uncentred, N Var K = 4/(1 + 2 m^2).

Source: docs/theory/fluctuations.md, Lazy networks.
"""

import numpy as np
from jaxtyping import Float

from orderparam.errors import Diverged, UnsupportedCombination
from orderparam.fluctuations.theory.lazy.descent import Descent
from orderparam.kernels import KernelEvolution

FACTOR = 4.0
"""Relative error of variances over m^2, or over m with kinks: the largest that was measured."""


def expansion_error(
    evolution: KernelEvolution, descent: Descent, accuracy: float
) -> Float[np.ndarray, " time"]:
    """Relative error of leaving out all feature learning, at the saved steps.

    Raises:
        Diverged: If predictions overflow.
        UnsupportedCombination: If the problem is not lazy.
    """
    smooth = evolution.network.activation.smooth
    distance = descent.movement()
    if not np.isfinite(distance).all():
        raise Diverged("`f` is not finite with a frozen kernel; lower the learning rate.")
    movement = evolution.gamma0 * np.sqrt(np.maximum(distance, 0.0))
    error = FACTOR * (movement**2 if smooth else movement)
    if error.max() > accuracy:
        allowed = accuracy / FACTOR
        most = (allowed**0.5 if smooth else allowed) / np.sqrt(distance.max())
        order = "gamma0^2" if smooth else "gamma0, as neurons cross the kinks of the activation"
        raise UnsupportedCombination(
            f"The method lazy is the limit gamma0 -> 0, but at gamma0 = {evolution.gamma0:g} the "
            f"weights of this problem move by {movement.max():.2g} of their size, which it leaves "
            f"out: an error of order {order}, about {error.max():.2g} here, above `accuracy` = "
            f"{accuracy:g}. Lower `gamma0` to {most:.2g}, raise `accuracy`, or choose Influence "
            "(one hidden layer), LayeredInfluence, DeepLinear (linear networks) or "
            "orderparam.simulate, which follow features."
        )
    return error
