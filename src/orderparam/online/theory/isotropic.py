"""The isotropic quadratic model, for which phases, rates and limits are closed formulas.

Here A = a I, B = b I and T = theta I.
"""

import math
from dataclasses import dataclass

import numpy as np

from orderparam.errors import UnsupportedCombination
from orderparam.online.problem import TeacherStudent, checked_problem
from orderparam.support.arguments import truth
from orderparam.support.keywords import known_keywords


@dataclass(frozen=True)
class Isotropic:
    """Numbers of an isotropic quadratic problem.

    Args:
        p: Students.
        q: Teachers p*.
        a: Student's output weight a/kappa.
        b: Teacher's output weight a*/kappa*.
        theta: Squared norm of the teacher vectors.
        eta: Effective learning rate, eta/(1 - momentum).
        noise: Weight of the eta^2 term: 1/batch size, 0 in gradient flow.
        label_noise: Delta.
        offset: Constant subtracted from the error, that of the activation included.
    """

    p: int
    q: int
    a: float
    b: float
    theta: float
    eta: float
    noise: float
    label_noise: float
    offset: float

    @property
    def critical_learning_rate(self) -> float:
        """eta_c = 1/(2 a b theta (p* + 2)) per batch size, at which the solution loses stability.

        An effective rate, as `eta` is: the problem's own `learning_rate` reaches it at
        (1 - momentum) eta_c, which is what `critical_learning_rate(problem)` returns.
        """
        strength = max(self.noise, 1e-300)
        return 1.0 / (2 * self.a * self.b * self.theta * (self.q + 2)) / strength

    @property
    def flow_rate(self) -> float:
        """Escape exponent of gradient flow, 4 eta a b theta."""
        return 4 * self.eta * self.a * self.b * self.theta

    def plateau_norm(self) -> float:
        """Q on the plateau; NaN where norms run away.

        Source: docs/theory/online.md, Norm learning and plateau.
        """
        a, b, p, q, theta = self.a, self.b, self.p, self.q, self.theta
        eta = self.eta * self.noise
        drive = b * q * theta + self.offset
        # E[e^2] terms with M = 0, m = a p x - drive and tau = a^2 p x^2 + b^2 q theta^2.
        square = drive**2 + 2 * b**2 * q * theta**2 + self.label_noise
        c2 = eta * a**3 * (p + 2) * (p + 4)
        c1 = -a * (p + 2) - 2 * eta * a**2 * drive * (p + 2)
        c0 = drive + eta * a * square
        root = c1**2 - 4 * c2 * c0
        return 2 * c0 / (-c1 + math.sqrt(root)) if root >= 0 else math.nan

    def mean_error(self, norm: float) -> float:
        """M = E[e] at M = 0 and Q = norm I."""
        return self.a * self.p * norm - self.b * self.q * self.theta - self.offset

    def plateau_loss(self) -> float:
        """Population loss on the plateau."""
        norm = self.plateau_norm()
        tau = self.a**2 * self.p * norm**2 + self.b**2 * self.q * self.theta**2
        return self.mean_error(norm) ** 2 / 2 + tau

    def escape_rate(self) -> float:
        """Growth rate Lambda of M on the plateau."""
        norm = self.plateau_norm()
        drive = self.mean_error(norm) + 2 * self.a * norm - 2 * self.b * self.theta
        return -2 * self.eta * self.a * drive

    def saddle_loss(self, learned: int) -> float:
        """Gradient-flow loss with `learned` teacher directions learned (0: plateau)."""
        left = self.q - learned
        return (self.b * self.theta) ** 2 * left * (left / (self.p + 2) + 1)

    def noise_floor(self) -> float:
        """Stationary loss for p = p* (leading order for p > p*); NaN above eta_c."""
        ratio = self.eta / self.critical_learning_rate
        if ratio >= 1:
            return math.nan
        strength = self.eta * self.noise * self.label_noise
        return strength * self.a * self.b * self.theta * self.q / (1 - ratio)

    def tail_coefficient(self) -> float:
        """C of the loss C/t^2 of an overparameterised student without label noise; NaN for others.

        The idle p - p* units forget their norm algebraically. Source: docs/theory/online.md,
        Saddles and convergence.
        """
        if self.p <= self.q or self.eta >= self.critical_learning_rate:
            return math.nan
        ratio = self.eta / self.critical_learning_rate
        slowed = 1 + self.q / (self.q + 2) * ratio / (1 - ratio)
        flow = (self.p - self.q) * (self.q + 2) / (64 * self.eta**2 * self.a**2 * (self.p + 2))
        return flow * slowed

    def plateau_noise(self) -> float:
        """r: SGD noise on the plateau adds to M(0) an independent matrix of r times its variance.

        Holds for a start with the plateau's norms. Source: docs/theory/online.md, SGD noise on
        the plateau.
        """
        x, a, b, p, q = self.plateau_norm(), self.a, self.b, self.p, self.q
        spread = a**2 * x**2 * (p + 2) * (p + 4) - 2 * a * b * x * self.theta * (p + 2) * (q + 2)
        spread += (b * self.theta) ** 2 * (q + 2) * (q + 4) + self.label_noise
        return 2 * self.eta**2 * a**2 * self.noise * spread / self.escape_rate()

    def final_loss(self) -> float:
        """Loss that the run tends to, at leading order."""
        floor = self.noise_floor() if self.label_noise else 0.0
        return floor if self.p >= self.q else self.saddle_loss(self.p) + floor


@known_keywords
def isotropic(problem: TeacherStudent, *, sgd_noise: bool = True) -> Isotropic:
    """The numbers of a problem, or an error that says which condition it breaks.

    Raises:
        UnsupportedCombination: If the problem is not isotropic and quadratic.
    """
    checked_problem(problem)
    sgd_noise = truth("sgd_noise", sgd_noise)
    checks = {
        "the activation is not quadratic": problem.activation == "quadratic",
        "the second layer `A` is not a positive multiple of ones": _uniform(problem.A),
        "the teacher's second layer `B` is not a positive multiple of ones": _uniform(problem.B),
        "the second layer is trained": problem.second_layer_rate == 0,
        "the norms are held (`spherical`)": not problem.spherical,
        "the inputs have a `spectrum`": problem.spectrum is None,
        "the learning rate follows a schedule": problem.schedule is None,
        "there is weight decay": problem.weight_decay == 0,
        "the error is centred on its population mean": problem.centering != "population",
        "the teacher overlaps `T` are not a multiple of the identity": _scalar(problem.start.T),
    }
    broken = [why for why, good in checks.items() if not good]
    if broken:
        raise UnsupportedCombination(
            f"Closed formulas need an isotropic quadratic model, but {broken[0]}; use the overlap "
            "equations (orderparam.solve) instead."
        )
    a, b = float(problem.A[0]), float(problem.B[0])
    p, q = problem.students, problem.teachers
    return Isotropic(
        p=p,
        q=q,
        a=a,
        b=b,
        theta=float(problem.start.T.reshape(-1)[0]),
        eta=problem.learning_rate / (1 - problem.momentum),
        noise=1.0 / problem.batch_size if sgd_noise else 0.0,
        label_noise=problem.label_noise,
        offset=problem.offset + problem.shift * (a * p - b * q),
    )


def _uniform(weights: np.ndarray) -> bool:
    return bool(weights[0] > 0 and np.ptp(weights) <= 1e-12 * weights[0])


def _scalar(T: np.ndarray) -> bool:
    theta = T.reshape(-1)[0]
    return bool(theta > 0 and np.abs(T - theta * np.eye(T.shape[-1])).max() <= 1e-10 * theta)
