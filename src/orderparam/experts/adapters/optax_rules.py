"""Whether an optimiser of Optax is of the kind that a plan's multipliers are made for.

Names do not tell: factories are wrapped and chained. A few steps on a small matrix do, because each
column of the scaling table rests on how updates answer when gradients grow.
"""

# pyright: reportMissingImports=false

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.experts.rules.recipe import Recipe
from orderparam.support.arguments import one_line

Updates = Float[np.ndarray, "step entry"]
_SIZE = 1e-3  # of gradients, and of epsilon, so that it matters
_GROWN = 64.0  # how much larger; a power of two rounds nothing
_RATE, _DECAY = 0.5, 0.25
_CLOSE = 1e-4
_GRADIENTS = np.array(
    [[[1.0, -2.0, 3.0], [-4.0, 0.5, -0.7]], [[2.0, -1.0, 2.5], [-3.0, 1.5, 0.6]],
     [[-1.5, -2.5, 1.0], [-2.0, 0.8, 1.1]]]
)  # fmt: skip
_WEIGHTS = np.array([[0.7, -1.1, 0.4], [0.9, 1.3, -0.6]])
_HOW = {
    "sgd": "grow as the gradient does",
    "adam": "stay as they are when gradient and eps grow together, and change when it alone does",
    "sign": "do not depend on the size of the gradient",
}


@dataclass(frozen=True)
class _Trial:
    """A factory to be tried.

    Args:
        make: The factory.
        takes: Names of its arguments.
        recipe: The plan's choices.
    """

    make: Callable[..., Any]
    takes: frozenset[str]
    recipe: Recipe

    @property
    def name(self) -> str:
        """What messages call it."""
        return getattr(self.make, "__name__", str(self.make))

    def updates(
        self,
        *,
        size: float = 1.0,
        first: float = 1.0,
        eps: float = 1.0,
        weights: float = 1.0,
        rate: float = _RATE,
        decay: float = 0.0,
    ) -> Updates:
        """Updates of three steps, with the gradient, or its first entry, and the rest made larger.

        Raises:
            InvalidProblem: If the factory or what it makes fails.
        """
        values: dict[str, float] = {"learning_rate": rate}
        if "weight_decay" in self.takes:
            values["weight_decay"] = decay
        if self.recipe.column == "adam":
            values["eps"] = eps * _SIZE
        gradients = size * _SIZE * _GRADIENTS
        gradients[:, 0, 0] *= first
        params = {"weight": jnp.asarray(weights * _WEIGHTS, jnp.float32)}
        found = []
        try:
            transform = self.make(**values)
            state = transform.init(params)
            for gradient in gradients:
                given = {"weight": jnp.asarray(gradient, jnp.float32)}
                update, state = transform.update(given, state, params)
                found.append(np.asarray(update["weight"], dtype=float).ravel())
        except Exception as error:  # the factory's own code
            raise InvalidProblem(
                f"The optimiser {self.name} could not be tried on a small matrix "
                f"({type(error).__name__}: {one_line(error)}); give a factory such as optax.adamw, "
                "called with learning_rate."
            ) from error
        return np.array(found)


def check_factory(
    make: Callable[..., Any], takes: frozenset[str], recipe: Recipe, weight_decay: float
) -> None:
    """Refuse a factory whose updates do not follow the plan's column of the table.

    Args:
        make: The factory.
        takes: Names of its arguments.
        recipe: The plan's choices.
        weight_decay: Decay of the base.

    Raises:
        InvalidProblem: If the plan is for another kind of optimiser, or the factory fails.
        UnsupportedCombination: If no column covers such updates.
    """
    trial = _Trial(make, takes, recipe)
    if (recipe.column == "adam") != ("eps" in takes):
        has = "has no argument `eps`, which it scales" if recipe.column == "adam" else "has one"
        raise InvalidProblem(
            f"The plan is for {recipe.optimizer}, but the optimiser {trial.name} {has}, as only "
            "those of Adam's kind do; make the plan for the optimiser that is used."
        )
    plain = trial.updates()
    _check_entries(trial, plain)
    _check_growth(trial, plain)
    if weight_decay and recipe.column != "sgd":
        expected = plain - _RATE * _DECAY * _WEIGHTS.ravel()
        if not _alike(trial.updates(decay=_DECAY), expected):
            raise UnsupportedCombination(
                f"The optimiser {trial.name} does not subtract learning rate x decay x parameter, "
                "so that the strength of its decay has no scaling rule; use a decoupled decay, as "
                "in optax.adamw."
            )


def _check_entries(trial: _Trial, plain: Updates) -> None:
    """The update of an entry has to follow its own gradients, and nothing else."""
    if not _alike(trial.updates(weights=2.0), plain):
        raise UnsupportedCombination(
            f"Updates of {trial.name} depend on the parameter, by a ratio of norms or a decay of "
            "its own, for which there is no scaling rule; use an optimiser without, whose decay is "
            "an argument `weight_decay`."
        )
    if not _alike(trial.updates(first=8.0)[:, 1:], plain[:, 1:]):
        raise UnsupportedCombination(
            f"The update of an entry by {trial.name} depends on gradients of other entries, so "
            "that its size has no scaling rule; use sgd, adam, adamw, lion or sign_sgd."
        )


def _check_growth(trial: _Trial, plain: Updates) -> None:
    """Updates have to answer to larger gradients as the plan's column says."""
    recipe = trial.recipe
    if recipe.column == "adam":
        together = trial.updates(size=_GROWN, eps=_GROWN)
        good = _alike(together, plain) and not _alike(trial.updates(size=_GROWN), plain)
    else:
        grown = _GROWN if recipe.column == "sgd" else 1.0
        good = _alike(trial.updates(size=_GROWN), grown * plain)
    if not good:
        raise InvalidProblem(
            f"The plan is for {recipe.optimizer}, whose updates {_HOW[recipe.column]}, but those "
            f"of {trial.name} do otherwise; make the plan for the optimiser that is used, if it "
            "has a rule (sgd, adam, adamw, lion, signsgd)."
        )
    if not _alike(trial.updates(rate=2 * _RATE), 2 * plain):
        raise UnsupportedCombination(
            f"Updates of {trial.name} are not proportional to its learning rate, which the plan "
            "scales; use an optimiser whose updates are."
        )


def _alike(one: Updates, other: Updates) -> bool:
    """Whether two sets of updates agree, relative to the largest."""
    scale = max(float(np.abs(one).max()), float(np.abs(other).max()))
    return bool(np.abs(one - other).max() <= _CLOSE * scale)
