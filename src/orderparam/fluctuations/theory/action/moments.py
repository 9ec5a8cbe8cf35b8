"""Moments of all variables from the propagator of the action.

Source: docs/theory/fluctuations.md, Action.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from orderparam.fluctuations.theory.action.saddle import Parameters
from orderparam.fluctuations.theory.functions import Functions, Observed
from orderparam.fluctuations.theory.statistics import Moments, moments
from orderparam.support.programs import program


def moments_of(
    functions: Functions,
    y: float,
    q: Parameters,
    covariance: Float[np.ndarray, "time entry entry"],
) -> Moments:
    """Moments at each time: a root of the covariance is as good as independent neurons."""
    depth, times = len(q.Phi), np.arange(len(q.Delta))
    value, vector = np.linalg.eigh(covariance)
    root = vector * np.sqrt(np.maximum(value, 0.0))[:, None, :]
    psi = np.moveaxis(root, 2, 1)  # the neurons that stand for it, before what they influence
    shape = (*psi.shape[:2], depth, 1, 1)
    influences = {
        "f": -psi[:, :, :1, None],
        "Phi": psi[:, :, 1 : depth + 1].reshape(shape),
        "G": psi[:, :, depth + 1 :].reshape(shape),
    }
    base = {
        "f": (y - q.Delta)[:, None, None],
        "Phi": q.Phi[:, times, times].T[:, :, None, None],
        "G": q.G[:, times, times].T[:, :, None, None],
    }
    placed = ({n: jnp.asarray(a) for n, a in one.items()} for one in (base, influences))
    found: Moments = _over_time(functions, *placed)
    return found


@program
def _over_time(functions: Functions, base: Observed, psi: Observed) -> Moments:
    def at(now: tuple[Any, Any]) -> Moments:
        here, influences = now
        equal: Array = jnp.ones(influences["f"].shape[0])
        one = {name: a[None] for name, a in influences.items()}
        return moments(functions, here, one, equal, None)

    return lax.map(at, (base, psi))
