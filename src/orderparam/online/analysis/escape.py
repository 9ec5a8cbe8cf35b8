"""When a student leaves the plateau: the law of the escape time over random starts."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from orderparam.contract import SavePlan
from orderparam.errors import InvalidProblem
from orderparam.online.methods.ode import OverlapODE
from orderparam.online.model.overlaps import Overlaps
from orderparam.online.problem import TeacherStudent
from orderparam.online.theory.isotropic import isotropic
from orderparam.support.arguments import integer, one_of, probability, refuse, truth
from orderparam.support.arrays import array
from orderparam.support.keywords import known_keywords
from orderparam.support.later import special, stats
from orderparam.support.settings import library_settings


@dataclass(frozen=True)
class EscapeLaw:
    """`t = (constant - ln chi^2 - shift)/(2 rate)`, chi^2 with p p* degrees of freedom.

    Its functions take one finite number or an array of them, and raise `InvalidProblem` otherwise.

    Args:
        rate: Lambda, the growth rate of M on the plateau.
        constant: What does not depend on the draw; it grows as ln N.
        freedom: p p*.
        shift: ln(1 + r) from the SGD noise on the plateau, 0 for the overlap equations alone.
    """

    rate: float
    constant: float
    freedom: int
    shift: float

    @property
    def mean(self) -> float:
        """Mean over random starts."""
        expected = float(special.digamma(self.freedom / 2)) + math.log(2)
        return (self.constant - expected - self.shift) / (2 * self.rate)

    @property
    def std(self) -> float:
        """Standard deviation over random starts, the same for every N."""
        return math.sqrt(float(special.polygamma(1, self.freedom / 2))) / (2 * self.rate)

    def cdf(self, time: Float[np.ndarray, "..."] | float) -> Float[np.ndarray, "..."]:
        """Probability to have escaped by `time`."""
        level = np.exp(self.constant - self.shift - 2 * self.rate * array("time", time))
        return np.asarray(special.chdtrc(self.freedom, level))

    def pdf(self, time: Float[np.ndarray, "..."] | float) -> Float[np.ndarray, "..."]:
        """Density of the escape time."""
        level = np.exp(self.constant - self.shift - 2 * self.rate * array("time", time))
        return np.asarray(stats.chi2.pdf(level, self.freedom) * level * 2 * self.rate)

    def ppf(self, share: Float[np.ndarray, "..."] | float) -> Float[np.ndarray, "..."]:
        """Time by which a share of the starts, between 0 and 1, has escaped."""
        given = array("share", share)
        if not ((given > 0) & (given < 1)).all():
            raise refuse("share", share, "numbers between 0 and 1", "leave the ends out")
        level = np.log(special.chdtri(self.freedom, given))
        return np.asarray((self.constant - self.shift - level) / (2 * self.rate))


@known_keywords
def escape_law(
    problem: TeacherStudent,
    dimension: int | None = None,
    *,
    margin: float = 0.05,
    constant: str = "calibrated",
    sgd_noise: bool = True,
) -> EscapeLaw:
    """The law of the first time at which the loss is `margin` below the plateau's.

    On the plateau M grows as exp(Lambda t), and the loss falls by 2ab |M|^2, with |M(0)|^2
    distributed as chi^2 q0 theta/N.

    Args:
        problem: An isotropic quadratic problem; its start says q0 (mean of Q_kk) alone.
        dimension: N; that of the start if `None`.
        margin: delta in (0, 1); the law is that of a small one.
        constant: `"calibrated"` by one integration of the equations, which knows norm learning and
            saturation, or `"linear"`, the closed form for a start with the plateau's norms.
        sgd_noise: Count the noise that SGD adds to M on the plateau.

    Raises:
        UnsupportedCombination: If the problem is not isotropic and quadratic.
        InvalidProblem: If there is no plateau to escape from, or no dimension.

    Source: Bocchi et al. (2026); docs/theory/online.md, Escape from the plateau, Escape times,
    SGD noise on the plateau.
    """
    numbers = isotropic(problem)
    delta = probability("margin", margin)
    one_of("constant", constant, ("calibrated", "linear"))
    sgd_noise = truth("sgd_noise", sgd_noise)
    size = problem.start.dimension if dimension is None else integer("dimension", dimension)
    if size is None:
        raise InvalidProblem("The escape time depends on N; give `dimension`.")
    rate, norm = numbers.escape_rate(), numbers.plateau_norm()
    if not rate > 0:
        raise InvalidProblem(
            f"At learning rate {numbers.eta:g} the plateau has no escape (rate {rate:.3g}); lower "
            "the learning rate."
        )
    if constant == "linear":
        height = delta * numbers.plateau_loss()
        level = math.log(height / (2 * numbers.a * numbers.b * numbers.theta * norm))
    else:
        level = _calibrated(problem, numbers, delta)
    shift = math.log1p(numbers.plateau_noise()) if sgd_noise else 0.0
    total = level + math.log(size)
    return EscapeLaw(rate, total, numbers.p * numbers.q, shift)


def _calibrated(problem: TeacherStudent, numbers: Any, margin: float) -> float:
    """2 Lambda t - ln(q0 theta/|M(0)|^2) of one integration from a tiny M(0)."""
    p, q, theta = numbers.p, numbers.q, numbers.theta
    q0 = float(np.mean(np.diagonal(problem.start.Q, axis1=-2, axis2=-1)))
    tiny = 1e-5
    M = tiny * np.sqrt(q0 * theta) * np.eye(p, q)
    waited = (math.log(1 / tiny**2) + 15) / (2 * numbers.escape_rate())
    run = TeacherStudent(
        Overlaps(q0 * np.eye(p), M, theta * np.eye(q)),
        learning_rate=numbers.eta,
        duration=waited,
        label_noise=problem.label_noise,
        normalisation=1.0,
        second_layer=problem.A,
        teacher_second_layer=problem.B,
        centering=numbers.offset,
        batch_size=problem.batch_size,
    )
    with library_settings():
        solved = OverlapODE(margin=margin).solve(run, SavePlan(steps=2), 0, False)
    time = float(solved["escape_time"])
    if not math.isfinite(time):
        raise InvalidProblem(
            "The run used for calibration did not enter and leave the plateau; use "
            'constant="linear".'
        )
    return 2 * numbers.escape_rate() * time + math.log(tiny**2 * min(p, q))
