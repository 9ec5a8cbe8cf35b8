"""One-pass SGD of a two-layer student on a two-layer teacher: what is learned, no solver."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import equinox as eqx
import numpy as np
from jaxtyping import Float

from orderparam.contract import Problem, SavePlan
from orderparam.errors import InvalidProblem
from orderparam.numerics.activations import Activation
from orderparam.online.model.activations import activation_of, label_of
from orderparam.online.model.binned import BinnedOverlaps, start_for
from orderparam.online.model.input_spectrum import InputSpectrum
from orderparam.online.model.layers import centering_of, layer_weights, normalisations
from orderparam.online.model.overlaps import Overlaps
from orderparam.online.model.schedule import RateSchedule, Schedule, schedule_of
from orderparam.support.arguments import (
    at_least_zero,
    fraction,
    instance,
    integer,
    positive,
    truth,
)


class TeacherStudent(Problem):
    r"""A student trained by SGD that sees every sample once, at fixed widths, as N -> infinity.

    With Gaussian inputs x, pre-activations lambda = W x/sqrt(N), nu = W* x/sqrt(N), the error is
    `e = sum_k A_k s(lambda_k) - sum_m B_m s(nu_m) - offset - sqrt(label_noise) xi`, with
    `A = a/kappa`, `B = a*/kappa*`. Each sample makes one step `w_k <- w_k - eta grad_{w_k} e^2/2`
    of weights with entries of order 1, and `1/N` of time.

    Args:
        start: Overlaps at time 0, one state or many; they also fix the widths p and p*. With a
            `spectrum` those of each bin, or `Overlaps` of weights spread evenly over the bins.
        activation: `"quadratic"` (lambda^2), `"erf_scaled"` (erf(lambda/sqrt 2)) or `"relu"`,
            with closed equations; or a smooth one: `"tanh"`, `"gelu"`, `"softplus"`,
            `"scaled_tanh(0.8)"`, an `Activation`, or an elementwise function written with
            `jax.numpy`.
        learning_rate: eta > 0.
        duration: Samples divided by N until the end, positive.
        label_noise: Variance Delta >= 0 of the labels' noise.
        normalisation: `"width"` (kappa = p, kappa* = p*), `"one"`, or one number for both.
        second_layer: a, one number for each student; ones if `None`.
        teacher_second_layer: a*, one number for each teacher; ones if `None`.
        centering: For the quadratic activation: `"none"`; `"constant"` (lambda^2 - 1);
            `"population"` (outputs measured from their present population mean); or a number, the
            constant offset subtracted from the error.
        second_layer_rate: eta_a >= 0 of `a <- a - (eta_a/N) grad_a e^2/2`; 0 keeps a fixed.
        weight_decay: gamma >= 0, decoupled: w <- (1 - gamma/N) w at each step.
        spherical: Bring every student to |w_k|^2 = N after each step; needs Q_kk(0) = 1.
        momentum: beta of the heavy ball, in [0, 1).
        batch_size: Samples n of one step; a step is 1/N of time whatever n.
        schedule: Factor of both learning rates in time: numbers, one for each of as many equal
            parts of the duration; or a function of the time, read at 1025 evenly spaced times and
            joined by a monotone cubic; constant if `None`. Weight decay does not follow it.
        spectrum: Variances of the inputs' coordinates, in bins; 1 for all if `None`.

    Raises:
        InvalidProblem: If a value is outside its range.

    Source: Bocchi et al. (2026); Saad & Solla (1995) for erf; docs/theory/online.md, What is
    described, Equations of motion, Variants.

    Example:
        >>> start = Overlaps(Q=[[1.0]], M=[[0.1]])
        >>> TeacherStudent(start, learning_rate=0.05).students
        1
    """

    family: ClassVar[str] = "online"

    start: Overlaps | BinnedOverlaps
    activation: str | Activation = eqx.field(static=True)
    learning_rate: float = eqx.field(static=True)
    duration: float = eqx.field(static=True)
    label_noise: float = eqx.field(static=True)
    kappa: tuple[float, float] = eqx.field(static=True)
    second_layer: Float[np.ndarray, " student"]
    teacher_second_layer: Float[np.ndarray, " teacher"]
    centering: str | float = eqx.field(static=True)
    second_layer_rate: float = eqx.field(static=True)
    weight_decay: float = eqx.field(static=True)
    spherical: bool = eqx.field(static=True)
    momentum: float = eqx.field(static=True)
    batch_size: int = eqx.field(static=True)
    schedule: RateSchedule | None
    spectrum: InputSpectrum | None

    def __init__(
        self,
        start: Overlaps | BinnedOverlaps,
        activation: str | Activation | Callable[..., Any] = "quadratic",
        learning_rate: float = 0.1,
        duration: float = 50.0,
        label_noise: float = 0.0,
        normalisation: str | float = "width",
        second_layer: Any = None,
        teacher_second_layer: Any = None,
        centering: str | float = "none",
        second_layer_rate: float = 0.0,
        weight_decay: float = 0.0,
        spherical: bool = False,
        momentum: float = 0.0,
        batch_size: int = 1,
        schedule: Schedule = None,
        spectrum: InputSpectrum | None = None,
    ) -> None:
        self.start = start = start_for(start, spectrum)
        self.spectrum = spectrum
        self.activation = activation_of(activation)
        self.learning_rate = positive("learning_rate", learning_rate)
        self.duration = positive("duration", duration)
        self.label_noise = at_least_zero("label_noise", label_noise)
        self.kappa = normalisations(normalisation, start.students, start.teachers)
        self.second_layer = layer_weights("second_layer", second_layer, start.students)
        self.teacher_second_layer = layer_weights(
            "teacher_second_layer", teacher_second_layer, start.teachers
        )
        self.centering = centering_of(centering, self.activation)
        self.second_layer_rate = at_least_zero("second_layer_rate", second_layer_rate)
        self.weight_decay = at_least_zero("weight_decay", weight_decay)
        self.spherical = truth("spherical", spherical)
        self.momentum = fraction("momentum", momentum)
        self.batch_size = integer("batch_size", batch_size)
        self.schedule = schedule_of(schedule, self.duration)
        norms = start.norms()
        if self.spherical and np.abs(norms - 1).max() > 1e-8:
            raise InvalidProblem(
                "Argument `spherical` is true, but the students' norms Q_kk start between "
                f"{norms.min():.6g} and {norms.max():.6g}; start with Q_kk = 1, for example "
                'random_overlaps(..., student="orthogonal").'
            )

    @property
    def students(self) -> int:
        """The student's width p."""
        return self.start.students

    @property
    def teachers(self) -> int:
        """The teacher's width p*."""
        return self.start.teachers

    def preactivations(self) -> Overlaps:
        """Covariances of the pre-activations at time 0; the start itself for unit variances."""
        if isinstance(self.start, Overlaps):
            return self.start
        assert self.spectrum is not None
        return self.start.total(self.spectrum)

    @property
    def A(self) -> Float[np.ndarray, " student"]:  # noqa: D102
        return self.second_layer / self.kappa[0]

    @property
    def B(self) -> Float[np.ndarray, " teacher"]:  # noqa: D102
        return self.teacher_second_layer / self.kappa[1]

    @property
    def offset(self) -> float:
        """The constant subtracted from the error beside the activation's own, 0 by default."""
        return 0.0 if isinstance(self.centering, str) else self.centering

    @property
    def shift(self) -> float:
        """The constant c of the activation lambda^2 - c."""
        return 1.0 if self.centering == "constant" else 0.0

    def times(self, save: SavePlan) -> Float[np.ndarray, " time"]:
        """The times to save, in samples divided by N."""
        return save.times_until(self.duration)

    def config(self) -> Mapping[str, Any]:
        """The problem as plain JSON values."""
        names = ("learning_rate", "duration", "label_noise", "centering")
        more = ("second_layer_rate", "weight_decay", "spherical", "momentum", "batch_size")
        return {
            "kind": "TeacherStudent",
            "start": self.start.config(),
            "activation": label_of(self.activation),
            **{name: getattr(self, name) for name in (*names, *more)},
            "kappa": list(self.kappa),
            "second_layer": self.second_layer.tolist(),
            "teacher_second_layer": self.teacher_second_layer.tolist(),
            "spectrum": None if self.spectrum is None else self.spectrum.config(),
            "schedule": None if self.schedule is None else self.schedule.config(),
        }


def checked_problem(value: Any) -> TeacherStudent:
    """A problem of this family, refused where it is something else."""
    return instance("problem", value, TeacherStudent, "build one with orderparam.online")
