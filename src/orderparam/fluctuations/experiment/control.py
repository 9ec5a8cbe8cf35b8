"""Control variates of trained ensembles, from the neurons that their networks start with."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from orderparam.contract import SavePlan
from orderparam.fluctuations.glossary import separated
from orderparam.fluctuations.problem import FiniteWidth
from orderparam.fluctuations.theory.control import (
    driven,
    influence_means,
    initial_neurons,
    reference,
)
from orderparam.fluctuations.theory.functions import functions_of
from orderparam.fluctuations.theory.particles import training_of
from orderparam.fluctuations.theory.response import Population
from orderparam.fluctuations.theory.sampling import neurons, random_numbers, sobol
from orderparam.fluctuations.theory.supported import require_one_layer
from orderparam.support.settings import library_settings

SAMPLES = 8192
"""Neurons of the limit that control variates are centred at."""

Arrays = dict[str, Float[np.ndarray, "..."]]


def require_control(problem: FiniteWidth, save: SavePlan) -> None:
    """Refuse problems whose influence functions at given neurons are not known.

    Raises:
        UnsupportedCombination: Naming what does not fit.
    """
    instead = "Leave out `control` and give a `limit`."
    require_one_layer("of the control variate", problem, save, instead=instead)


def control_variates(
    problem: FiniteWidth,
    steps: Int[np.ndarray, " time"],
    widths: Sequence[int],
    runs: Sequence[int],
    seed: int,
) -> tuple[Arrays, Arrays]:
    """Limits of all quantities, and (1/N) sum psi of every network with axes (width, seed, ...)."""
    evolution = problem.evolution
    with library_settings():
        training, functions = training_of(evolution, steps), functions_of(evolution)
        dimension = random_numbers(evolution, training.rows.shape[1])
        (normals,) = sobol(dimension, SAMPLES, 1, seed)
        population = Population(
            neurons(evolution, training, normals), jnp.full(SAMPLES, 1 / SAMPLES)
        )
        known = reference(training, population)
        limits: Arrays = {}
        sums: dict[str, list[np.ndarray]] = {}
        for width, count in zip(widths, runs, strict=True):
            starts = initial_neurons(evolution, training, width, seed, range(count))
            found = driven(training, starts, known.limit.u)
            limit, means = influence_means(functions, known, found)
            limits = {name: separated(evolution, name, np.asarray(v)) for name, v in limit.items()}
            for name, mean in means.items():
                one = np.full((max(runs), *mean.shape[1:]), np.nan)
                one[:count] = mean
                sums.setdefault(name, []).append(separated(evolution, name, one))
    return limits, {name: np.stack(parts) for name, parts in sums.items()}
