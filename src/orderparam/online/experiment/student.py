"""The student that is really trained: its output, the loss of one batch, and weights to start."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from orderparam.errors import InvalidProblem
from orderparam.numerics.activations import Activation
from orderparam.online.model.activations import apply
from orderparam.online.model.schedule import RateFactor, factor_of
from orderparam.online.problem import TeacherStudent


class Training(eqx.Module):
    """Numbers of a training run; `population` and the rest are compile-time choices.

    Args:
        learning_rate: eta.
        second_layer_rate: eta_a.
        weight_decay: gamma.
        momentum: beta.
        noise: Standard deviation of the labels' noise.
        offset: Constant subtracted from the error.
        shift: c of the activation lambda^2 - c.
        kappa: Output normalisations of student and teacher.
        teacher_second_layer: a*.
        largest: Mean squared norm of a student at which a run counts as blown up.
        activation: The activation.
        population: Whether outputs are measured from their population means.
        spherical: Whether norms are restored after each step.
        batch_size: Samples of a step.
        heavy: Whether there is momentum.
        second: Whether the second layer is trained.
        schedule: Factor of both learning rates in time, if they change.
    """

    learning_rate: Float[Array, ""]
    second_layer_rate: Float[Array, ""]
    weight_decay: Float[Array, ""]
    momentum: Float[Array, ""]
    noise: Float[Array, ""]
    offset: Float[Array, ""]
    shift: Float[Array, ""]
    kappa: Float[Array, " 2"]
    teacher_second_layer: Float[Array, " teacher"]
    largest: Float[Array, ""]
    activation: str | Activation = eqx.field(static=True)
    population: bool = eqx.field(static=True)
    spherical: bool = eqx.field(static=True)
    batch_size: int = eqx.field(static=True)
    heavy: bool = eqx.field(static=True)
    second: bool = eqx.field(static=True)
    schedule: RateFactor | None = None

    def rates(self, at: Array, dimension: Any) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Learning rates of the first and of the second layer in step number `at`."""
        if self.schedule is None:
            return self.learning_rate, self.second_layer_rate
        factor = self.schedule(at / jnp.asarray(dimension, self.learning_rate.dtype))
        return factor * self.learning_rate, factor * self.second_layer_rate


def training_of(problem: TeacherStudent, precision: str) -> Training:
    """The numbers of a problem in the precision of the run."""

    def number(value: Any) -> Float[Array, "..."]:
        return jnp.asarray(value, precision)

    norms = np.trace(problem.start.flat().Q, axis1=-1, axis2=-2)
    return Training(
        learning_rate=number(problem.learning_rate),
        second_layer_rate=number(problem.second_layer_rate),
        weight_decay=number(problem.weight_decay),
        momentum=number(problem.momentum),
        noise=number(np.sqrt(problem.label_noise)),
        offset=number(problem.offset),
        shift=number(problem.shift),
        kappa=number(problem.kappa),
        teacher_second_layer=number(problem.teacher_second_layer),
        largest=number(1e3 * max(1.0, norms.max())),
        activation=problem.activation,
        population=problem.centering == "population",
        spherical=problem.spherical,
        batch_size=problem.batch_size,
        heavy=problem.momentum > 0,
        second=problem.second_layer_rate > 0,
        schedule=factor_of(problem.schedule, problem.duration, precision),
    )


def outputs(
    h: Float[Array, "*batch unit"], layer: Float[Array, " unit"], scale: Any, training: Training
) -> Float[Array, "*batch"]:
    """(1/kappa) sum_k a_k s(h_k)."""
    return (apply(training.activation, h) - training.shift) @ layer / scale


def sample_loss(
    h: Float[Array, "*batch student"],
    a: Float[Array, " student"],
    label: Float[Array, "*batch"],
    mean: Float[Array, ""],
    training: Training,
) -> Float[Array, ""]:
    """Mean of e^2/2; `mean` is what the error is measured from."""
    output = outputs(h, a, training.kappa[0], training)
    return jnp.mean((output - label - mean) ** 2) / 2


def frames(
    problem: TeacherStudent, dimension: int, draws: np.ndarray, seeds: np.ndarray
) -> tuple[Float[np.ndarray, "run student N"], Float[np.ndarray, "run teacher N"]]:
    """Weights in `dimension` dimensions with exactly the start's overlaps, in random directions.

    Args:
        problem: Its start, and the bins of its inputs.
        dimension: N.
        draws: Which state each run starts from.
        seeds: One seed sequence for each run.

    Raises:
        InvalidProblem: If N is too small to hold the vectors.
    """
    sizes = bin_sizes(problem, dimension)
    grams = problem.start.flat().gram()
    grams = grams[:, None] if problem.spectrum is None else grams
    values, vectors = np.linalg.eigh(grams)
    roots = vectors * np.sqrt(np.clip(values, 0.0, None))[..., None, :]
    units = roots.shape[-1]
    weights = []
    for draw, seed in zip(draws, seeds, strict=True):
        rng = np.random.default_rng(seed)
        bases = [np.linalg.qr(rng.standard_normal((size, units)))[0] for size in sizes]
        parts = [root @ basis.T for root, basis in zip(roots[draw], bases, strict=True)]
        weights.append(np.sqrt(dimension) * np.concatenate(parts, axis=1))
    stacked = np.stack(weights)
    return stacked[:, : problem.students], stacked[:, problem.students :]


def bin_sizes(problem: TeacherStudent, dimension: int) -> list[int]:
    """Coordinates in each bin, one bin of all N for inputs of unit variance.

    Raises:
        InvalidProblem: If students and teachers do not fit into a bin.
    """
    spectrum, units = problem.spectrum, problem.students + problem.teachers
    sizes = [dimension] if spectrum is None else spectrum.sizes(dimension).tolist()
    if min(sizes) < units:
        of_bin = "" if spectrum is None else f" and its smallest bin has {min(sizes)} coordinates"
        raise InvalidProblem(
            f"Argument `dimension` is {dimension}{of_bin}, but {problem.students} students and "
            f"{problem.teachers} teachers need at least {units}; raise it."
        )
    return sizes
