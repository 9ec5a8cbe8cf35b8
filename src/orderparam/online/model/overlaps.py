"""Overlaps of student and teacher: where a run starts, ends, or stands."""

import hashlib
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float

from orderparam.errors import InvalidProblem
from orderparam.support.arguments import integer, positive
from orderparam.support.arrays import array
from orderparam.support.keywords import KnownKeywords, known_keywords
from orderparam.support.plain_methods import PlainMethods

_TOLERANCE = 1e-10
"""Asymmetry, and negative eigenvalue of the joint Gram matrix, that rounding explains."""


class Overlaps(KnownKeywords, PlainMethods, eqx.Module):
    """Order parameters of students w_k and teachers w*_m: scalar products divided by N.

    `Q = W W^T / N`, `M = W W*^T / N`, `T = W* W*^T / N`. Many states are held as one value with a
    leading axis in Q and M (and in T, or one T for all).

    Args:
        Q: Student-student overlaps, symmetric, shape (p, p) or (n, p, p).
        M: Student-teacher overlaps, shape (p, p*) or (n, p, p*).
        T: Teacher-teacher overlaps, shape (p*, p*) or (n, p*, p*); the identity if `None`.
        dimension: The N of the weights behind them, where there is one.

    Raises:
        InvalidProblem: If shapes disagree, Q or T is not symmetric, or the joint Gram matrix
            [[Q, M], [M^T, T]] has a negative eigenvalue.

    Example:
        >>> start = Overlaps(Q=[[1.0]], M=[[0.1]])
        >>> start.students, start.teachers
        (1, 1)
    """

    Q: Float[np.ndarray, "*draw student student"]
    M: Float[np.ndarray, "*draw student teacher"]
    T: Float[np.ndarray, "*draw teacher teacher"]
    dimension: int | None = eqx.field(static=True)

    def __init__(self, Q: Any, M: Any, T: Any = None, dimension: int | None = None) -> None:
        self.Q, self.M = array("Q", Q, (2, 3)), array("M", M, (2, 3))
        teacher = np.eye(self.M.shape[-1]) if T is None else array("T", T, (2, 3))
        self.dimension = None if dimension is None else integer("dimension", dimension)
        lead, (p, q) = self.Q.shape[:-2], (self.Q.shape[-1], self.M.shape[-1])
        good = self.Q.shape == (*lead, p, p) and self.M.shape == (*lead, p, q)
        good = good and teacher.shape in ((q, q), (*lead, q, q)) and p > 0 and q > 0
        if not good or (lead and lead[0] == 0):
            raise InvalidProblem(
                f"The overlaps `Q` {self.Q.shape}, `M` {self.M.shape} and `T` {teacher.shape} do "
                "not fit together; give shapes (p, p), (p, p*) and (p*, p*), or one leading axis "
                "more."
            )
        self.T = np.array(np.broadcast_to(teacher, (*lead, q, q)))
        _check_gram(self)

    @property
    def students(self) -> int:
        """The student's width p."""
        return self.M.shape[-2]

    @property
    def teachers(self) -> int:
        """The teacher's width p*."""
        return self.M.shape[-1]

    @property
    def draws(self) -> int | None:
        """How many states are held; `None` for a single one without leading axis."""
        return self.M.shape[0] if self.M.ndim == 3 else None

    def gram(self) -> Float[np.ndarray, "*draw unit unit"]:
        """The joint Gram matrix [[Q, M], [M^T, T]]."""
        return np.block([[self.Q, self.M], [np.swapaxes(self.M, -1, -2), self.T]])

    def norms(self) -> Float[np.ndarray, "*draw student"]:
        """Squared lengths of the students divided by N."""
        return np.diagonal(self.Q, axis1=-2, axis2=-1)

    def flat(self) -> "Overlaps":
        """The same with a leading axis, of length 1 for a single state."""
        if self.draws is not None:
            return self
        return jax.tree.map(lambda part: part[None], self)  # checked already

    def config(self) -> Mapping[str, Any]:
        """As plain values: a single state by its numbers, many by number and fingerprint."""
        shape = {"students": self.students, "teachers": self.teachers, "draws": self.draws}
        if self.draws is None:
            values = {name: getattr(self, name).tolist() for name in ("Q", "M", "T")}
            return {**shape, "dimension": self.dimension, **values}
        content = b"".join(
            np.ascontiguousarray(part).tobytes() for part in (self.Q, self.M, self.T)
        )
        digest = hashlib.sha256(content).hexdigest()[:16]
        return {**shape, "dimension": self.dimension, "fingerprint": digest}


def _check_gram(overlaps: Overlaps) -> None:
    """Refuse overlaps that no weights have, and say which block is wrong."""
    for name in ("Q", "T"):
        block = getattr(overlaps, name)
        if np.abs(block - np.swapaxes(block, -1, -2)).max() > _TOLERANCE * np.abs(block).max():
            raise InvalidProblem(
                f"The overlaps `{name}` are not symmetric; give {name} = ({name} + {name}^T)/2."
            )
    blocks = {"Q": overlaps.Q, "T": overlaps.T, "[[Q, M], [M^T, T]]": overlaps.gram()}
    for name, block in blocks.items():
        values = np.linalg.eigvalsh(block)
        lowest, largest = values[..., 0].min(), max(values[..., -1].max(), 1e-300)
        if lowest < -_TOLERANCE * largest:
            raise InvalidProblem(
                f"The overlaps {name} have the eigenvalue {lowest:.3g}, but scalar products of "
                "vectors have none below 0; compute Q, M and T from the same weights."
            )


@known_keywords
def overlaps_of(student_weights: Any, teacher_weights: Any) -> Overlaps:
    """Overlaps of given weights, whose entries are of order 1 (pre-activation w.x/sqrt(N)).

    Weights u for pre-activations u.x, as most frameworks keep them, are `sqrt(N) u` here; see also
    `learning_rate_from`.

    Args:
        student_weights: W, shape (p, N) or (n, p, N).
        teacher_weights: W*, shape (p*, N) or (n, p*, N).

    Returns:
        The overlaps, with `dimension` N.

    Raises:
        InvalidProblem: If the shapes disagree or an entry is not finite.
    """
    student = array("student_weights", student_weights, (2, 3))
    teacher = array("teacher_weights", teacher_weights, (2, 3))
    if student.shape[-1] != teacher.shape[-1]:
        raise InvalidProblem(
            f"The `student_weights` have dimension {student.shape[-1]}, the `teacher_weights` "
            f"{teacher.shape[-1]}; give weights of the same input dimension."
        )
    dimension = student.shape[-1]
    lead = np.broadcast_shapes(student.shape[:-2], teacher.shape[:-2])
    student = np.broadcast_to(student, (*lead, *student.shape[-2:]))
    teacher = np.broadcast_to(teacher, (*lead, *teacher.shape[-2:]))
    turned = np.swapaxes(teacher, -1, -2)
    return Overlaps(
        student @ np.swapaxes(student, -1, -2) / dimension,
        student @ turned / dimension,
        teacher @ turned / dimension,
        dimension,
    )


@known_keywords
def learning_rate_from(framework_rate: float, dimension: int) -> float:
    """The learning rate of this library, from that of code that keeps u = w/sqrt(N).

    Pre-activations u.x with the step u <- u - eta_u grad_u follow the same path as w = sqrt(N) u
    with `eta = N eta_u`. Divide by N for the way back.

    Args:
        framework_rate: eta_u, positive.
        dimension: Input dimension N.

    Example:
        >>> round(learning_rate_from(1e-4, 1000), 12)
        0.1
    """
    rate = positive("framework_rate", framework_rate)
    return rate * integer("dimension", dimension)
