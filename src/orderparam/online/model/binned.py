"""Overlaps of student and teacher bin by bin, for structured inputs."""

import hashlib
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Float

from orderparam.errors import InvalidProblem
from orderparam.online.model.input_spectrum import InputSpectrum
from orderparam.online.model.overlaps import Overlaps, overlaps_of
from orderparam.online.model.starts import random_overlaps
from orderparam.support.arguments import instance, integer, positive, refuse
from orderparam.support.arrays import array
from orderparam.support.keywords import KnownKeywords, known_keywords
from orderparam.support.plain_methods import PlainMethods


class BinnedOverlaps(KnownKeywords, PlainMethods, eqx.Module):
    """Overlaps of the parts of the weights in each bin of coordinates.

    `Q_b = W_b W_b^T / N` with N, not the size of the bin, so that the sum over bins is Q; `M_b` and
    `T_b` likewise. Many states have one leading axis more.

    Args:
        Q: Student-student overlaps, shape (bin, p, p) or (n, bin, p, p).
        M: Student-teacher overlaps, shape (bin, p, p*) or (n, bin, p, p*).
        T: Teacher-teacher overlaps, shape (bin, p*, p*) or (n, bin, p*, p*).
        dimension: The N of the weights behind them, where there is one.

    Raises:
        InvalidProblem: If shapes disagree, or no weights have these overlaps.
    """

    Q: Float[np.ndarray, "*draw bin student student"]
    M: Float[np.ndarray, "*draw bin student teacher"]
    T: Float[np.ndarray, "*draw bin teacher teacher"]
    dimension: int | None = eqx.field(static=True)

    def __init__(self, Q: Any, M: Any, T: Any, dimension: int | None = None) -> None:
        self.Q, self.M = array("Q", Q, (3, 4)), array("M", M, (3, 4))
        teacher = array("T", T, (3, 4))
        self.dimension = None if dimension is None else integer("dimension", dimension)
        lead, (p, q) = self.Q.shape[:-2], (self.Q.shape[-1], self.M.shape[-1])
        good = self.Q.shape == (*lead, p, p) and self.M.shape == (*lead, p, q)
        good = good and teacher.shape in ((lead[-1], q, q), (*lead, q, q)) and self.M.size > 0
        if not good:
            raise InvalidProblem(
                f"The overlaps `Q` {self.Q.shape}, `M` {self.M.shape} and `T` {teacher.shape} do "
                "not fit together; give shapes (bin, p, p), (bin, p, p*) and (bin, p*, p*), or one "
                "leading axis more."
            )
        self.T = np.array(np.broadcast_to(teacher, (*lead, q, q)))
        parts = (self.Q, self.M, self.T)
        Q, M, T = (part.reshape(-1, *part.shape[-2:]) for part in parts)
        Overlaps(Q, M, T)  # refuses what no weights have

    @property
    def students(self) -> int:
        """The student's width p."""
        return self.M.shape[-2]

    @property
    def teachers(self) -> int:
        """The teacher's width p*."""
        return self.M.shape[-1]

    @property
    def bins(self) -> int:
        """Number of bins."""
        return self.M.shape[-3]

    @property
    def draws(self) -> int | None:
        """How many states are held; `None` for a single one without leading axis."""
        return self.M.shape[0] if self.M.ndim == 4 else None

    def gram(self) -> Float[np.ndarray, "*draw bin unit unit"]:
        """The joint Gram matrix [[Q, M], [M^T, T]] of each bin."""
        return np.block([[self.Q, self.M], [np.swapaxes(self.M, -1, -2), self.T]])

    def norms(self) -> Float[np.ndarray, "*draw student"]:
        """Squared lengths of the students divided by N."""
        return np.diagonal(self.Q, axis1=-2, axis2=-1).sum(axis=-2)

    def flat(self) -> "BinnedOverlaps":
        """The same with a leading axis, of length 1 for a single state."""
        if self.draws is not None:
            return self
        return BinnedOverlaps(self.Q[None], self.M[None], self.T[None], self.dimension)

    def total(self, spectrum: InputSpectrum) -> Overlaps:
        """Covariances of the pre-activations: sums over bins, weighted with the variances."""
        Q, M, T = (spectrum.weighted(part) for part in (self.Q, self.M, self.T))
        return Overlaps(Q, M, T, self.dimension)

    def config(self) -> Mapping[str, Any]:
        """As plain values: a single state by its numbers, many by number and fingerprint."""
        names = ("students", "teachers", "bins", "draws", "dimension")
        shape = {name: getattr(self, name) for name in names}
        if self.draws is None:
            return {**shape, **{name: getattr(self, name).tolist() for name in ("Q", "M", "T")}}
        content = b"".join(part.tobytes() for part in (self.Q, self.M, self.T))
        return {**shape, "fingerprint": hashlib.sha256(content).hexdigest()[:16]}


@known_keywords
def spread_overlaps(overlaps: Overlaps, spectrum: InputSpectrum) -> BinnedOverlaps:
    """Weights that are spread evenly over the coordinates: every bin holds its share phi_b.

    Args:
        overlaps: Sums over all bins, `W W^T / N` and so on.
        spectrum: The bins.
    """
    instance("overlaps", overlaps, Overlaps, "build one with orderparam.online")
    instance("spectrum", spectrum, InputSpectrum, "build one with orderparam.online")
    shares = spectrum.fractions[:, None, None]
    parts = (overlaps.Q, overlaps.M, overlaps.T)
    Q, M, T = (shares * part[..., None, :, :] for part in parts)
    return BinnedOverlaps(Q, M, T, overlaps.dimension)


@known_keywords
def binned_overlaps_of(
    student_weights: Any, teacher_weights: Any, spectrum: InputSpectrum
) -> BinnedOverlaps:
    """Overlaps of given weights bin by bin; the bins follow each other along the coordinates.

    Args:
        student_weights: W, shape (p, N) or (n, p, N).
        teacher_weights: W*, shape (p*, N) or (n, p*, N).
        spectrum: The bins, of `spectrum.sizes(N)` coordinates.

    Raises:
        InvalidProblem: If the shapes disagree or an entry is not finite.
    """
    student = array("student_weights", student_weights, (2, 3))
    teacher = array("teacher_weights", teacher_weights, (2, 3))
    instance("spectrum", spectrum, InputSpectrum, "build one with orderparam.online")
    N = overlaps_of(student, teacher).dimension  # refuses shapes that disagree
    assert N is not None
    cuts = np.cumsum(spectrum.sizes(N))[:-1]
    rows = zip(np.split(student, cuts, axis=-1), np.split(teacher, cuts, axis=-1), strict=True)
    return _stacked([overlaps_of(w, t) for w, t in rows], N)


@known_keywords
def random_binned_overlaps(
    students: int,
    teachers: int,
    dimension: int,
    spectrum: InputSpectrum,
    draws: int | None = None,
    *,
    norm: float = 1.0,
    teacher_norm: float = 1.0,
    seed: int = 0,
) -> BinnedOverlaps:
    """Overlaps of Gaussian weights that know nothing of the bins, without any long vector.

    Args:
        students: p.
        teachers: p*.
        dimension: N, with at least p + p* coordinates in every bin.
        spectrum: The bins.
        draws: How many states; `None` for a single one without leading axis.
        norm: Mean squared length of a student vector divided by N.
        teacher_norm: The same for the teacher.
        seed: Seed of the draws.

    Raises:
        InvalidProblem: If a value is outside its range.
    """
    instance("spectrum", spectrum, InputSpectrum, "build one with orderparam.online")
    dimension, seed = integer("dimension", dimension), integer("seed", seed, 0)
    teacher_norm = positive("teacher_norm", teacher_norm)
    least = integer("students", students) + integer("teachers", teachers)
    sizes, found = spectrum.sizes(dimension).tolist(), []
    if min(sizes) < least:
        raise InvalidProblem(
            f"Argument `dimension` is {dimension}, which leaves {min(sizes)} coordinates in the "
            f"smallest bin, but students and teachers need at least {least}; raise it."
        )
    for index, size in enumerate(sizes):
        own = int(np.random.SeedSequence([seed, index]).generate_state(1)[0])
        laws = {"norm": norm, "teacher_norm": teacher_norm, "teacher": "gaussian", "seed": own}
        found.append(random_overlaps(students, teachers, size, draws, **laws))
    return _stacked(found, dimension)


def _stacked(found: list[Overlaps], dimension: int) -> BinnedOverlaps:
    """Overlaps of single bins, which are divided by the size of the bin, as one value."""
    sizes = np.array([part.dimension for part in found]) / dimension
    Q, M, T = (
        sizes[:, None, None] * np.stack([getattr(part, name) for part in found], axis=-3)
        for name in ("Q", "M", "T")
    )
    return BinnedOverlaps(Q, M, T, dimension)


def start_for(start: Any, spectrum: Any) -> Any:
    """The start of the kind that a problem's inputs need.

    Raises:
        InvalidProblem: If start and spectrum do not belong together.
    """
    if spectrum is not None:
        instance("spectrum", spectrum, InputSpectrum, "build one with orderparam.online")
    if isinstance(start, Overlaps):
        return start if spectrum is None else spread_overlaps(start, spectrum)
    if not isinstance(start, BinnedOverlaps):
        raise refuse("start", start, "an Overlaps", "build one with random_overlaps")
    if spectrum is None or start.bins != spectrum.bins:
        given = "no `spectrum`" if spectrum is None else f"a `spectrum` of {spectrum.bins} bins"
        raise InvalidProblem(
            f"Argument `start` has overlaps of {start.bins} bins, but there is {given}; give the "
            "spectrum to which they belong."
        )
    return start
