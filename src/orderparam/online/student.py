"""The student that is really trained: its output, the loss of one batch, and weights to start."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from orderparam.errors import InvalidProblem
from orderparam.online.overlaps import Overlaps

LAYERS = {
    "quadratic": jnp.square,
    "erf": lambda h: jax.lax.erf(h / jnp.sqrt(2.0).astype(h.dtype)),
    "relu": lambda h: jnp.maximum(h, 0),
}


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
        activation: Name of the activation.
        population: Whether outputs are measured from their population means.
        spherical: Whether norms are restored after each step.
        batch_size: Samples of a step.
        heavy: Whether there is momentum.
        second: Whether the second layer is trained.
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
    activation: str = eqx.field(static=True)
    population: bool = eqx.field(static=True)
    spherical: bool = eqx.field(static=True)
    batch_size: int = eqx.field(static=True)
    heavy: bool = eqx.field(static=True)
    second: bool = eqx.field(static=True)


def training_of(problem: Any, precision: str) -> Training:
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
    )


def outputs(
    h: Float[Array, "*batch unit"], layer: Float[Array, " unit"], scale: Any, training: Training
) -> Float[Array, "*batch"]:
    """(1/kappa) sum_k a_k s(h_k)."""
    return (LAYERS[training.activation](h) - training.shift) @ layer / scale


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
    overlaps: Overlaps, dimension: int, draws: np.ndarray, seeds: np.ndarray
) -> tuple[Float[np.ndarray, "run student N"], Float[np.ndarray, "run teacher N"]]:
    """Weights in `dimension` dimensions with exactly the given overlaps, in random directions.

    Args:
        overlaps: With a leading axis.
        dimension: N.
        draws: Which state each run starts from.
        seeds: One seed sequence for each run.

    Raises:
        InvalidProblem: If N is too small to hold the vectors.
    """
    values, vectors = np.linalg.eigh(overlaps.gram())
    roots = vectors * np.sqrt(np.clip(values, 0.0, None))[:, None, :]
    units = roots.shape[-1]
    if dimension < units:
        raise InvalidProblem(
            f"Argument `dimension` is {dimension}, but {overlaps.students} students and "
            f"{overlaps.teachers} teachers need at least {units}; raise it."
        )
    weights = []
    for draw, seed in zip(draws, seeds, strict=True):
        random = np.random.default_rng(seed).standard_normal((dimension, units))
        basis = np.linalg.qr(random)[0]
        weights.append(np.sqrt(dimension) * roots[draw] @ basis.T)
    stacked = np.stack(weights)
    return stacked[:, : overlaps.students], stacked[:, overlaps.students :]
