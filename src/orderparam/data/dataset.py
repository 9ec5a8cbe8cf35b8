"""`Data`: the inputs and labels of a learning problem, checked once and never changed."""

import hashlib
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from orderparam.errors import InvalidProblem
from orderparam.support.arguments import text
from orderparam.support.arrays import array, matrix, vector
from orderparam.support.keywords import KnownKeywords
from orderparam.support.plain_methods import PlainMethods


class Data(KnownKeywords, PlainMethods, eqx.Module):
    """Train and test samples with real labels; an immutable value.

    Arrays are copied to float64 and made read-only, so what was checked stays true.

    Args:
        x: Train inputs (P, D), P >= 1, D >= 1, finite.
        y: Train labels (P,), or (P, C) for C outputs, finite.
        x_test: Test inputs (P_test, D); `None` (default) for no test samples.
        y_test: Test labels, like `y`; `None` (default) if they are unknown.
        name: A word or two for figures and tables.

    Raises:
        InvalidProblem: If a shape does not fit, a number is not finite, or there is no sample.

    Example:
        >>> data = Data([[1.0, 0.0], [0.0, 1.0]], [-1.0, 1.0], name="two points")
        >>> data
        Data('two points': 2 train, 0 test, dimension 2)
        >>> data.gram()
        array([[0.5, 0. ],
               [0. , 0.5]])
    """

    x: Float[np.ndarray, "train dimension"]
    y: Float[np.ndarray, " train"] | Float[np.ndarray, "train output"]
    x_test: Float[np.ndarray, "test dimension"]
    y_test: Float[np.ndarray, " test"] | Float[np.ndarray, "test output"] | None
    name: str = eqx.field(static=True)

    def __init__(
        self,
        x: ArrayLike | Sequence[Any],
        y: ArrayLike | Sequence[Any],
        x_test: ArrayLike | Sequence[Any] | None = None,
        y_test: ArrayLike | Sequence[Any] | None = None,
        name: str = "arrays",
    ) -> None:
        train = matrix("x", x)
        if len(train) == 0:
            raise InvalidProblem(
                "Argument `x` must hold at least one sample, but has no row; give one."
            )
        labels = _labels("y", y, len(train))
        test = np.zeros((0, train.shape[1])) if x_test is None else matrix("x_test", x_test)
        if test.shape[1] != train.shape[1]:
            raise InvalidProblem(
                f"Argument `x_test` must have the dimension of `x`, {train.shape[1]}, but has "
                f"{test.shape[1]}; give both the same columns."
            )
        test_labels = None if y_test is None else _labels("y_test", y_test, len(test))
        if test_labels is not None and test_labels.shape[1:] != labels.shape[1:]:
            raise InvalidProblem(
                f"Argument `y_test` has shape {test_labels.shape}, but `y` has {labels.shape}; "
                "give both the same outputs."
            )
        if len(test) == 0:
            test_labels = None  # no samples: the same as no labels, in the fingerprint too
        for part in (train, labels, test, test_labels):
            if part is not None:
                part.flags.writeable = False
        self.x, self.y, self.x_test, self.y_test = train, labels, test, test_labels
        self.name = text("name", name)

    @property
    def count(self) -> int:
        """Number P of train samples."""
        return self.x.shape[0]

    @property
    def test_count(self) -> int:
        """Number P_test of test samples."""
        return self.x_test.shape[0]

    @property
    def dimension(self) -> int:
        """Number D of entries of an input."""
        return self.x.shape[1]

    @property
    def outputs(self) -> int:
        """Number C of outputs that the labels ask for."""
        return 1 if self.y.ndim == 1 else self.y.shape[1]

    def targets(self) -> Float[np.ndarray, "train output"]:
        """Train labels with an axis for outputs, whatever their number."""
        return self.y.reshape(self.count, -1)

    def gram(self) -> Float[np.ndarray, "sample sample_"]:
        """Kernel of the inputs over train samples, then test samples.

        Phi^0_{ab} = x_a . x_b / D

        Returns:
            Symmetric matrix (P + P_test, P + P_test). Time (P + P_test)^2 D.
        """
        everything = np.concatenate([self.x, self.x_test])
        return everything @ everything.T / self.dimension

    def fingerprint(self) -> str:
        """SHA-256 of shapes and numbers, in hex; equal data have equal ones, whatever their name.

        Example:
            >>> one, two = Data([[1.0]], [1.0], name="a"), Data([[1.0]], [1.0], name="b")
            >>> one.fingerprint() == two.fingerprint()
            True
        """
        digest = hashlib.sha256()
        for part in (self.x, self.y, self.x_test, self.y_test):
            digest.update(b"none;" if part is None else f"{part.shape};".encode())
            if part is not None:
                digest.update(part.astype("<f8").tobytes())
        return digest.hexdigest()

    def __repr__(self) -> str:
        """One line for people."""
        return (
            f"Data({self.name!r}: {self.count} train, {self.test_count} test, "
            f"dimension {self.dimension})"
        )


def _labels(
    name: str, value: ArrayLike | Sequence[Any], count: int
) -> Float[np.ndarray, "sample *output"]:
    """One label a sample, or one row of labels."""
    found = array(name, value, (1, 2), "give one label, or one row of labels, for each sample")
    return vector(name, found, count) if found.ndim == 1 else _rows(name, found, count)


def _rows(
    name: str, value: ArrayLike | Sequence[Any], count: int
) -> Float[np.ndarray, "sample *output"]:
    rows = matrix(name, value)
    if len(rows) != count:
        raise InvalidProblem(
            f"Argument `{name}` must have one row per sample, {count}, but has {len(rows)}; give "
            "as many labels as inputs."
        )
    return rows if rows.shape[1] > 1 else rows[:, 0]
