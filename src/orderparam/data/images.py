"""Classes out of a pool of labelled images, chosen by seed."""

import numpy as np
from jaxtyping import Int, Num

from orderparam.data.dataset import Data
from orderparam.data.normalise import normalise
from orderparam.errors import InvalidProblem


def class_order(labels: Int[np.ndarray, " pool"], label: int, seed: int) -> Int[np.ndarray, " n"]:
    """Indices of one class in an order that depends on seed and class alone.

    A choice takes a prefix (or suffix) of it, so a larger choice contains a smaller one.
    """
    return np.random.default_rng([seed, label]).permutation(np.flatnonzero(labels == label))


def take(
    order: Int[np.ndarray, " n"], count: int, *, what: str, label: int
) -> Int[np.ndarray, " count"]:
    """The first `count` indices of an order; says how many there are when there are too few."""
    if count > len(order):
        raise InvalidProblem(
            f"{count} {what} of class {label} are asked for, but there are {len(order)}; "
            f"ask for at most {len(order)}."
        )
    return order[:count]


def classified(
    train: list[Num[np.ndarray, "count dimension"]],
    test: list[Num[np.ndarray, "test_count dimension"]],
    *,
    normalisation: str,
    name: str,
) -> Data:
    """Data from the images of some classes, class after class.

    Two classes are labelled -1 and +1, more of them have one column of zeros and ones each.
    """
    x, x_test = normalise(
        np.concatenate(train).astype(np.float64),
        np.concatenate(test).astype(np.float64),
        normalisation,
    )
    labels = np.array([-1.0, 1.0]) if len(train) == 2 else np.eye(len(train))
    y, y_test = (np.repeat(labels, [len(part) for part in both], axis=0) for both in (train, test))
    return Data(x, y, x_test, y_test, name=name)
