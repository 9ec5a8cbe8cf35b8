"""Gaussian inputs, with labels that mean nothing or labels from a known teacher."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from orderparam.data.dataset import Data
from orderparam.errors import InvalidProblem
from orderparam.support.arguments import at_least_zero, integer, one_line, one_of
from orderparam.support.arrays import vector
from orderparam.support.keywords import known_keywords
from orderparam.support.memory import require_numbers

# Streams of random numbers: what one part draws never moves another.
TRAIN, TEST, TRAIN_LABELS, TEST_LABELS, WEIGHTS = range(5)

COPIES = 2
"""Of the inputs, while they are checked."""


@known_keywords
def gaussian(
    count: int, dimension: int, test_count: int = 0, labels: str = "balanced", seed: int = 0
) -> Data:
    """Independent Gaussian inputs with labels -1 and +1 that do not depend on them.

    x_ai ~ N(0, 1), so that x.x / D is 1 + O(1 / sqrt(D)).

    Args:
        count: Train samples, at least 1.
        dimension: Entries D of an input, at least 1.
        test_count: Test samples, at least 0.
        labels: `"balanced"`: +1 and -1 take turns, starting with +1. `"random"`: fair coins.
        seed: At least 0; the first samples do not depend on `count`.

    Returns:
        Data of `count` train and `test_count` test samples.

    Raises:
        InvalidProblem: If an argument is outside its range.

    Example:
        >>> gaussian(count=4, dimension=10).y
        array([ 1., -1.,  1., -1.])
    """
    labels = one_of("labels", labels, ("balanced", "random"))
    seed = integer("seed", seed, 0)
    x, x_test = _inputs(count, dimension, test_count, seed)
    if labels == "balanced":
        y, y_test = (1.0 - 2.0 * (np.arange(len(part)) % 2) for part in (x, x_test))
    else:
        y, y_test = (
            np.random.default_rng([seed, stream]).choice([-1.0, 1.0], len(part))
            for stream, part in ((TRAIN_LABELS, x), (TEST_LABELS, x_test))
        )
    return Data(x, y, x_test, y_test, name=f"gaussian, {labels} labels")


@known_keywords
def teacher(
    count: int,
    dimension: int,
    test_count: int = 0,
    teacher: str | Callable[[np.ndarray], np.ndarray] = "linear",
    noise: float = 0.0,
    seed: int = 0,
) -> Data:
    """Independent Gaussian inputs with labels from a teacher.

    With w drawn by seed and |w|^2 = D, and u = w.x / sqrt(D) ~ N(0, 1):
    linear y = u; quadratic y = (u^2 - 1) / sqrt(2). Both have mean 0 and variance 1.

    Args:
        count: Train samples, at least 1.
        dimension: Entries D of an input, at least 1.
        test_count: Test samples, at least 0.
        teacher: `"linear"`, `"quadratic"`, or a function from inputs (n, D) to labels (n,).
        noise: Standard deviation of Gaussian noise on the train labels, at least 0. Test labels
            are the teacher's own.
        seed: At least 0; draws inputs, w and noise independently of each other.

    Returns:
        Data of `count` train and `test_count` test samples.

    Raises:
        InvalidProblem: If an argument is outside its range, or the function returns labels of
            another shape or labels that are not finite.

    Example:
        >>> data = teacher(count=3, dimension=2, teacher=lambda x: x[:, 0])
        >>> np.array_equal(data.y, data.x[:, 0])
        True
    """
    rule = None if callable(teacher) else one_of("teacher", teacher, ("linear", "quadratic"))
    noise = at_least_zero("noise", noise)
    dimension, seed = integer("dimension", dimension), integer("seed", seed, 0)
    x, x_test = _inputs(count, dimension, test_count, seed)
    w = np.random.default_rng([seed, WEIGHTS]).standard_normal(dimension)
    w *= np.sqrt(dimension) / np.linalg.norm(w)

    def label(part: Float[np.ndarray, "n dimension"]) -> Float[np.ndarray, " n"]:
        if callable(teacher):
            return vector("teacher(x)", _called(teacher, part.copy()), len(part))
        u = part @ w / np.sqrt(dimension)
        return u if rule == "linear" else (u**2 - 1) / np.sqrt(2)

    y_test = label(x_test) if len(x_test) else None
    y = label(x) + noise * np.random.default_rng([seed, TRAIN_LABELS]).standard_normal(len(x))
    kind = rule or str(getattr(teacher, "__name__", "function"))
    return Data(x, y, x_test, y_test, name=f"{kind} teacher")


def _called(teacher: Callable[[np.ndarray], Any], x: np.ndarray) -> Any:
    """Labels from a user's function, whose own errors say too little."""
    try:
        return teacher(x)
    except Exception as error:
        raise InvalidProblem(
            f"Argument `teacher` is a function that failed on inputs of shape {x.shape} "
            f"({type(error).__name__}: {one_line(error)}); give one from inputs to labels."
        ) from error


def _inputs(
    count: int, dimension: int, test_count: int, seed: int
) -> tuple[Float[np.ndarray, "train dimension"], Float[np.ndarray, "test dimension"]]:
    """Train and test inputs from their own streams, once the arguments are checked."""
    dimension = integer("dimension", dimension)
    sizes = integer("count", count), integer("test_count", test_count, 0)
    for name, size in (("count", sizes[0]), ("test_count", sizes[1]), ("dimension", dimension)):
        require_numbers(name, size * (1 if name == "dimension" else dimension) * COPIES)
    train, test = (
        np.random.default_rng([seed, stream]).standard_normal((size, dimension))
        for stream, size in zip((TRAIN, TEST), sizes, strict=True)
    )
    return train, test
