"""Which samples a step sees, and how the learning rate changes in time."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int

from orderparam.errors import InvalidProblem
from orderparam.support.arguments import integer, one_line, one_of, real
from orderparam.support.arrays import array
from orderparam.support.keywords import KnownKeywords, known_keywords
from orderparam.support.memory import require_numbers

ORDERS = ("given", "random", "one_pass")


class Batches(KnownKeywords, eqx.Module):
    """Minibatches: each step sees `size` train samples instead of all.

    Args:
        size: Samples in a batch.
        order: `"given"`: through the data again and again, in their order. `"random"`: a new
            permutation in every epoch. `"one_pass"`: fresh data, every sample is used once and
            predictions are followed on the test samples alone.
        seed: Of the permutations.

    Raises:
        InvalidProblem: If a value is outside its range.
    """

    size: int = eqx.field(static=True)
    order: str = eqx.field(static=True)
    seed: int = eqx.field(static=True)

    def __init__(self, size: int, order: str = "given", seed: int = 0):
        self.size = integer("size", size)
        self.order = one_of("order", order, ORDERS)
        self.seed = integer("seed", seed, 0)

    def check(self, count: int, test_count: int, steps: int) -> None:
        """Refuse data with too few samples for these batches."""
        one_pass = self.order == "one_pass"
        needed = self.size * steps if one_pass else self.size
        if count < needed or (not one_pass and count % self.size):
            rule = f"at least size x steps = {needed}" if one_pass else f"a multiple of {self.size}"
            raise InvalidProblem(
                f"Batches of size {self.size} in the order {self.order!r} need {rule} train "
                f"samples, but the data have {count}; change the size or the data."
            )
        if one_pass and test_count == 0:
            raise InvalidProblem(
                "Batches of fresh data are followed on test samples, but the data have none; add "
                "test samples."
            )

    def indices(self, count: int, steps: int) -> Int[np.ndarray, "step batch"]:
        """The samples that each step sees."""
        epochs = -(-steps * self.size // count)
        if self.order == "random":
            generator = np.random.default_rng(self.seed)
            order = np.concatenate([generator.permutation(count) for _ in range(epochs)])
        else:
            order = np.tile(np.arange(count), epochs)
        return order[: steps * self.size].reshape(steps, self.size)

    def config(self) -> dict[str, Any]:
        """The batches as plain JSON values."""
        return {"size": self.size, "order": self.order, "seed": self.seed}


Schedule = Sequence[float] | Callable[[int], float] | None


def schedule_factors(schedule: Any, steps: int) -> Float[np.ndarray, " step"] | None:
    """Factors of the learning rate at steps 0 ... steps - 1.

    Raises:
        InvalidProblem: If there are not `steps` finite factors of at least 0.
    """
    if schedule is None:
        return None
    rule = f"a factor of at least 0 for each of the {steps} steps: a function, or as many numbers"
    try:
        values = [schedule(t) for t in range(steps)] if callable(schedule) else schedule
    except Exception as error:
        raise InvalidProblem(
            f"Argument `schedule` must give {rule}, but the function failed "
            f"({type(error).__name__}: {one_line(error)}); change it."
        ) from error
    factors = array("schedule", values, (1,), f"give {rule}")
    if factors.shape != (steps,) or (factors < 0).any():
        raise InvalidProblem(
            f"Argument `schedule` must give {rule}, but gives the shape {factors.shape} and the "
            f"smallest factor {factors.min(initial=np.inf):g}; change it."
        )
    factors.flags.writeable = False
    return factors


@known_keywords
def cosine(steps: int, warmup: int = 0, final: float = 0.0) -> tuple[float, ...]:
    """Linear warm-up from 1/warmup to 1, then half a cosine down to `final`.

    Args:
        steps: Number of steps in all.
        warmup: Steps of warm-up, fewer than `steps`.
        final: Factor reached at the last step, from 0 to 1.

    Returns:
        One factor of the learning rate for each step.

    Raises:
        InvalidProblem: If a value is outside its range.
    """
    steps = integer("steps", steps)
    warmup = integer("warmup", warmup, 0, steps - 1, "choose fewer than `steps`")
    final = real("final", final, 0.0, 1.0)
    require_numbers("steps", 10 * steps)
    t = np.arange(steps)
    fall = np.clip((t - warmup) / max(steps - 1 - warmup, 1), 0, 1)
    factor = final + (1 - final) * (1 + np.cos(np.pi * fall)) / 2
    return tuple(np.where(t < warmup, (t + 1) / max(warmup, 1), factor).tolist())
