"""The exact reduced chain: one-pass SGD on Gaussian inputs in (Q, M) alone, at a cost without N.

Given the overlaps, pre-activations are Gaussian with their Gram matrix as covariance, and the rest
of the input enters through its length alone, so (Q, M) is a Markov chain.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.online.student import Training, outputs, sample_loss, training_of

_BLOCK = 4096


class Chain(NamedTuple):
    """Overlaps of one run, and the root of its teacher's overlaps."""

    Q: Float[Array, "student student"]
    M: Float[Array, "student teacher"]
    a: Float[Array, " student"]
    root: Float[Array, "teacher teacher"]
    inverse: Float[Array, "teacher teacher"]
    trace: Float[Array, ""]
    stopped: Bool[Array, ""]
    stopped_at: Array


def cholesky(S: Float[Array, "unit unit"]) -> Float[Array, "unit unit"]:
    """Cholesky factor of a positive semidefinite matrix; a vanished pivot gives a zero column."""
    columns = []
    for k in range(len(S)):
        pivot = S[k, k]
        good = pivot > 1e-14
        column = jnp.where(good, S[:, k] / jnp.sqrt(jnp.where(good, pivot, 1.0)), 0.0)
        column = jnp.where(jnp.arange(len(S)) >= k, column, 0.0)
        columns.append(column)
        S = S - column[:, None] * column
    return jnp.stack(columns, axis=1)


def step(
    run: Chain, at: Array, noise: Float[Array, " number"], dimension: Array, training: Training
) -> Chain:
    """One step; `noise` holds p + p* normals, the rest of |x|^2, and the label's noise."""
    p, q = run.M.shape
    z, rest, xi = noise[: p + q], noise[p + q], noise[p + q + 1]
    side = run.M @ run.inverse.T
    nu = run.root @ z[:q]
    h = side @ z[:q] + cholesky(run.Q - side @ side.T) @ z[q:]
    label = outputs(nu, training.teacher_second_layer, training.kappa[1], training)
    label = label + training.noise * xi
    mean = training.offset
    if training.population:
        outer = run.a @ jnp.diagonal(run.Q) / training.kappa[0]
        mean = outer - run.trace
    g, ga = jax.grad(sample_loss, (0, 1))(h, run.a, label, mean, training)
    length = (z @ z + rest) / dimension
    eta, keep = training.learning_rate, 1 - training.weight_decay / dimension
    cross = g[:, None] * h
    Q = keep**2 * run.Q - eta * keep / dimension * (cross + cross.T)
    Q = Q + eta**2 / dimension * length * g[:, None] * g
    M = keep * run.M - eta / dimension * g[:, None] * nu
    a = run.a - training.second_layer_rate / dimension * ga if training.second else run.a
    if training.spherical:
        scale = 1 / jnp.sqrt(jnp.diagonal(Q))
        Q, M = scale[:, None] * Q * scale, scale[:, None] * M
    bad = ~(jnp.trace(Q) < training.largest)
    stopped = run.stopped | bad
    Q, M, a = (jnp.where(stopped, old, new) for old, new in ((run.Q, Q), (run.M, M), (run.a, a)))
    stopped_at = jnp.where(bad & ~run.stopped, at, run.stopped_at)
    return run._replace(Q=Q, M=M, a=a, stopped=stopped, stopped_at=stopped_at)


@partial(jax.jit, donate_argnums=0)
def advance(
    runs: Chain,
    noise: Float[Array, "run step number"],
    first: Array,
    start: Array,
    stop: Array,
    dimension: Array,
    training: Training,
) -> Chain:
    """Rows `start` to `stop` of the block of random numbers that begins at step `first`."""
    every = jax.vmap(step, in_axes=(0, None, 0, None, None))

    def one(row: Array, state: Chain) -> Chain:
        return every(state, first + row, noise[:, row], dimension, training)

    return jax.lax.fori_loop(start, stop, one, runs)


def _begin(problem: Any, draws: np.ndarray, precision: str) -> Chain:
    """The runs at step 0."""
    start = problem.start.flat()
    root = np.linalg.cholesky(start.T)
    means = np.einsum("m,nmm->n", problem.B, start.T)
    parts = (start.Q, start.M, np.broadcast_to(problem.second_layer, start.Q.shape[:2]))
    arrays = (*parts, root, np.linalg.inv(root), means)
    count = len(draws)
    stopped = (jnp.zeros(count, bool), jnp.full(count, -1))
    values = [jnp.asarray(part[draws], precision) for part in arrays]
    return Chain(*[*values, *stopped])


def simulate_chain(
    problem: Any,
    dimension: int,
    draws: np.ndarray,
    seeds: Sequence[Any],
    steps: np.ndarray,
    precision: str,
    done: Callable[[int], None],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Run the chain; the same results as `simulate_direct`, with the same law.

    Raises:
        UnsupportedCombination: With momentum or batches, whose steps are no function of (Q, M).
        InvalidProblem: If N < p + p*, or T is singular.

    Cost: O((p + p*)^3) a step and run, whatever N.
    """
    units = problem.students + problem.teachers
    if problem.momentum or problem.batch_size > 1:
        raise UnsupportedCombination(
            "The reduced chain knows neither momentum nor batches of more than one sample; use "
            'simulator="direct".'
        )
    if dimension < units:
        raise InvalidProblem(
            f"Argument `dimension` is {dimension}, but the reduced chain of {problem.students} "
            f"students and {problem.teachers} teachers needs at least {units}; raise it."
        )
    if np.linalg.eigvalsh(problem.start.T)[..., 0].min() <= 0:
        raise InvalidProblem(
            "The teacher overlaps `T` are singular, but the reduced chain needs their inverse; use "
            'simulator="direct", or drop dependent teachers.'
        )
    generators = [np.random.default_rng(seed) for seed in seeds]
    runs, training = _begin(problem, draws, precision), training_of(problem, precision)
    size = jnp.asarray(dimension, precision)
    Q, M, A = [], [], []
    noise, first, at = None, 0, 0
    for stop in steps.tolist():
        while at < stop:
            if noise is None or at == first + _BLOCK:
                first = at
                noise = jnp.asarray(_noise(generators, units, dimension), precision)
            until = min(stop, first + _BLOCK)
            span = (jnp.asarray(first), jnp.asarray(at - first), jnp.asarray(until - first))
            runs = advance(runs, noise, *span, size, training)
            done((until - at) * len(draws))
            at = until
        lost = np.asarray(runs.stopped)[:, None, None]
        Q.append(np.where(lost, np.nan, np.asarray(runs.Q, np.float64)))
        M.append(np.where(lost, np.nan, np.asarray(runs.M, np.float64)))
        A.append(np.asarray(runs.a, np.float64) / problem.kappa[0])
    return np.stack(Q, 1), np.stack(M, 1), np.stack(A, 1), np.asarray(runs.stopped_at)


def _noise(
    generators: Sequence[np.random.Generator], units: int, dimension: int
) -> Float[np.ndarray, "run step number"]:
    """Random numbers of a block of steps: normals, the rest of |x|^2, the label's noise."""
    blocks = []
    for rng in generators:
        block = rng.standard_normal((_BLOCK, units + 2))
        free = dimension - units
        block[:, units] = rng.chisquare(free, _BLOCK) if free else 0.0
        blocks.append(block)
    return np.stack(blocks)
