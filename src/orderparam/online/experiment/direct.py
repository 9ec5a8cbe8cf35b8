"""Direct one-pass SGD: weights in N dimensions, every sample drawn, gradients by JAX."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from orderparam.online.experiment.inputs import Inputs
from orderparam.online.experiment.student import Training, frames, outputs, sample_loss, training_of
from orderparam.online.problem import TeacherStudent


class Run(NamedTuple):
    """One student in training, its teacher and its stream of samples."""

    w: Float[Array, "student N"]
    a: Float[Array, " student"]
    velocity: tuple[Float[Array, "student N"], Float[Array, " student"]]
    teacher: Float[Array, "teacher N"]
    key: Array
    stopped: Bool[Array, ""]
    stopped_at: Array


def step(run: Run, at: Array, training: Training, inputs: Inputs) -> Run:
    """One step of SGD on a fresh batch; a run that has blown up stays where it is."""
    key_x, key_y = jax.random.split(jax.random.fold_in(run.key, at))
    N, dtype = run.w.shape[1], run.w.dtype
    x = inputs.draw(key_x, training.batch_size, N, dtype)
    root = jnp.sqrt(jnp.asarray(N, dtype))
    nu = x @ run.teacher.T / root
    label = outputs(nu, training.teacher_second_layer, training.kappa[1], training)
    label = label + training.noise * jax.random.normal(key_y, label.shape, dtype)
    mean = training.offset
    if training.population:
        means = [
            layer @ inputs.squares(weights) / scale
            for layer, weights, scale in (
                (run.a, run.w, training.kappa[0]),
                (training.teacher_second_layer, run.teacher, training.kappa[1]),
            )
        ]
        mean = jax.lax.stop_gradient(means[0] - means[1])

    def loss(w: Float[Array, "student N"], a: Float[Array, " student"]) -> Float[Array, ""]:
        return sample_loss(x @ w.T / root, a, label, mean, training)

    gw, ga = jax.grad(loss, (0, 1))(run.w, run.a)
    velocity = run.velocity
    if training.heavy:
        velocity = (training.momentum * velocity[0] + gw, training.momentum * velocity[1] + ga)
        gw, ga = velocity
    eta, eta_a = training.rates(at, N)
    w = run.w * (1 - training.weight_decay / N) - eta * gw
    a = run.a - eta_a / N * ga if training.second else run.a
    if training.spherical:
        w = w * root / jnp.linalg.norm(w, axis=1, keepdims=True)
    bad = ~(jnp.sum(w**2) < training.largest * N)
    stopped = run.stopped | bad
    w, a = (jnp.where(stopped, old, new) for old, new in ((run.w, w), (run.a, a)))
    stopped_at = jnp.where(bad & ~run.stopped, at, run.stopped_at)
    return Run(w, a, velocity, run.teacher, run.key, stopped, stopped_at)


@partial(jax.jit, donate_argnums=0)
def advance(runs: Run, start: Array, stop: Array, training: Training, inputs: Inputs) -> Run:
    """Steps `start` to `stop` of all runs at once."""
    every = jax.vmap(step, in_axes=(0, None, None, None))
    return jax.lax.fori_loop(start, stop, lambda at, r: every(r, at, training, inputs), runs)


def overlaps_between(
    problem: TeacherStudent, dimension: int
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Scalar products of weights (run, unit, N) divided by N; bin by bin for structured inputs."""

    def of(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        return left @ right.transpose(0, 2, 1) / dimension

    if problem.spectrum is None:
        return of
    cuts = np.cumsum(problem.spectrum.sizes(dimension))[:-1]

    def binned(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        parts = zip(np.split(left, cuts, axis=2), np.split(right, cuts, axis=2), strict=True)
        return np.stack([of(*part) for part in parts], axis=1)

    return binned


def simulate_direct(
    problem: TeacherStudent,
    dimension: int,
    draws: np.ndarray,
    seeds: Sequence[Any],
    steps: np.ndarray,
    precision: str,
    inputs: Inputs,
    done: Callable[[int], None],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Train students and measure their overlaps, in float64, after the given numbers of steps.

    Returns:
        Q, M and A with leading axes (run, time), NaN from a blow-up on; and the step of the
        blow-up, -1 without one.

    Cost: O(N (p + p*)) and N normal numbers a step and run.
    """
    student, teacher = frames(problem, dimension, draws, np.asarray(seeds))
    training = training_of(problem, precision)
    words = jnp.asarray(np.asarray(seeds, np.uint32))
    keys = jax.vmap(lambda word: jax.random.fold_in(jax.random.key(word[0]), word[1]))(words)
    count = len(draws)
    w = jnp.asarray(student, precision)
    a = jnp.broadcast_to(jnp.asarray(problem.second_layer, precision), (count, len(w[0])))
    runs = Run(
        w, a, (jnp.zeros_like(w), jnp.zeros_like(a)), jnp.asarray(teacher, precision), keys,
        jnp.zeros(count, bool), jnp.full(count, -1),
    )  # fmt: skip
    kept_teacher = np.asarray(runs.teacher, np.float64)
    overlap = overlaps_between(problem, dimension)
    Q, M, A = [], [], []
    at = 0
    for stop in steps.tolist():
        runs = advance(runs, jnp.asarray(at), jnp.asarray(stop), training, inputs)
        weights = np.asarray(runs.w, np.float64)
        lost = np.asarray(runs.stopped)
        weights[lost] = np.nan
        Q.append(overlap(weights, weights))
        M.append(overlap(weights, kept_teacher))
        A.append(np.asarray(runs.a, np.float64) / problem.kappa[0])
        done((stop - at) * count)
        at = stop
    stopped_at = np.asarray(runs.stopped_at)
    return np.stack(Q, 1), np.stack(M, 1), np.stack(A, 1), stopped_at
