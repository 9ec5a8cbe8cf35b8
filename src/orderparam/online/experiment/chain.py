"""The exact reduced chain: one-pass SGD on Gaussian inputs in (Q, M) alone, at a cost without N.

Given the overlaps, pre-activations are Gaussian with their Gram matrix as covariance, and the rest
of the input enters through its length alone, so (Q, M) is a Markov chain. With structured inputs
the same holds for the part of the input in each bin, so that the overlaps of all bins are one.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.numerics.linear import cholesky
from orderparam.online.experiment.student import (
    Training,
    bin_sizes,
    outputs,
    sample_loss,
    training_of,
)
from orderparam.online.problem import TeacherStudent

_BLOCK = 4096


class Chain(NamedTuple):
    """Overlaps of one run in each bin, and the roots of its teacher's overlaps."""

    Q: Float[Array, "bin student student"]
    M: Float[Array, "bin student teacher"]
    a: Float[Array, " student"]
    root: Float[Array, "bin teacher teacher"]
    inverse: Float[Array, "bin teacher teacher"]
    trace: Float[Array, ""]
    stopped: Bool[Array, ""]
    stopped_at: Array


def step(
    run: Chain,
    at: Array,
    noise: Float[Array, " number"],
    dimension: Array,
    training: Training,
    variances: Float[Array, " bin"],
) -> Chain:
    """One step; `noise` holds p + p* normals and the rest of |x|^2 by bin, then the label's."""
    bins, p, q = run.M.shape
    own, xi = noise[:-1].reshape(bins, p + q + 1), noise[-1]
    z, rest = own[:, :-1], own[:, -1]
    nus, hs = _preactivations(run, z, jnp.sqrt(variances)[:, None])
    nu, h = nus.sum(axis=0), hs.sum(axis=0)
    label = outputs(nu, training.teacher_second_layer, training.kappa[1], training)
    label = label + training.noise * xi
    mean = training.offset
    if training.population:
        powers = variances @ jnp.diagonal(run.Q, axis1=1, axis2=2)
        outer = run.a @ powers / training.kappa[0]
        mean = outer - run.trace
    g, ga = jax.grad(sample_loss, (0, 1))(h, run.a, label, mean, training)
    length = variances * ((z**2).sum(axis=1) + rest) / dimension
    eta, eta_a = training.rates(at, dimension)
    keep = 1 - training.weight_decay / dimension
    cross = g[:, None] * hs[:, None, :]
    Q = keep**2 * run.Q - eta * keep / dimension * (cross + jnp.swapaxes(cross, 1, 2))
    Q = Q + eta**2 / dimension * length[:, None, None] * g[:, None] * g
    M = keep * run.M - eta / dimension * g[:, None] * nus[:, None, :]
    a = run.a - eta_a / dimension * ga if training.second else run.a
    if training.spherical:
        shrink = 1 / jnp.sqrt(jnp.diagonal(Q.sum(axis=0)))
        Q, M = shrink[:, None] * Q * shrink, shrink[:, None] * M
    bad = ~(jnp.trace(Q.sum(axis=0)) < training.largest)
    stopped = run.stopped | bad
    Q, M, a = (jnp.where(stopped, old, new) for old, new in ((run.Q, Q), (run.M, M), (run.a, a)))
    stopped_at = jnp.where(bad & ~run.stopped, at, run.stopped_at)
    return run._replace(Q=Q, M=M, a=a, stopped=stopped, stopped_at=stopped_at)


def _preactivations(
    run: Chain, z: Float[Array, "bin unit"], scale: Float[Array, "bin 1"]
) -> tuple[Float[Array, "bin teacher"], Float[Array, "bin student"]]:
    """Parts of the pre-activations of teacher and student that come from each bin."""
    q = run.M.shape[-1]
    side = run.M @ jnp.swapaxes(run.inverse, 1, 2)
    left = cholesky(run.Q - side @ jnp.swapaxes(side, 1, 2))
    nus = scale * _times(run.root, z[:, :q])
    return nus, scale * (_times(side, z[:, :q]) + _times(left, z[:, q:]))


def _times(parts: Float[Array, "bin row unit"], z: Float[Array, "bin unit"]) -> Array:
    """Matrix times vector in each bin."""
    return (parts @ z[:, :, None])[:, :, 0]


@partial(jax.jit, donate_argnums=0)
def advance(
    runs: Chain,
    noise: Float[Array, "run step number"],
    first: Array,
    start: Array,
    stop: Array,
    dimension: Array,
    training: Training,
    variances: Float[Array, " bin"],
) -> Chain:
    """Rows `start` to `stop` of the block of random numbers that begins at step `first`."""
    every = jax.vmap(step, in_axes=(0, None, 0, None, None, None))

    def one(row: Array, state: Chain) -> Chain:
        return every(state, first + row, noise[:, row], dimension, training, variances)

    return jax.lax.fori_loop(start, stop, one, runs)


def _begin(problem: TeacherStudent, draws: np.ndarray, precision: str) -> Chain:
    """The runs at step 0, with an axis for the bin, of length 1 for inputs of unit variance."""
    start = problem.start.flat()
    Q, M, T = (start.Q, start.M, start.T)
    if problem.spectrum is None:
        Q, M, T = (part[:, None] for part in (Q, M, T))
    root = np.linalg.cholesky(T)
    means = np.einsum("m,nmm->n", problem.B, problem.preactivations().flat().T)
    layer = np.broadcast_to(problem.second_layer, (len(Q), problem.students))
    arrays = (Q, M, layer, root, np.linalg.inv(root), means)
    count = len(draws)
    stopped = (jnp.zeros(count, bool), jnp.full(count, -1))
    values = [jnp.asarray(part[draws], precision) for part in arrays]
    return Chain(*[*values, *stopped])


def simulate_chain(
    problem: TeacherStudent,
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
        InvalidProblem: If N < p + p* (in every bin), or T is singular.

    Cost: O((p + p*)^3) a step, run and bin, whatever N.
    """
    sizes, spectrum = bin_sizes(problem, dimension), problem.spectrum
    if problem.momentum or problem.batch_size > 1:
        raise UnsupportedCombination(
            "The reduced chain knows neither momentum nor batches of more than one sample; use "
            'simulator="direct".'
        )
    if np.linalg.eigvalsh(problem.start.T)[..., 0].min() <= 0:
        raise InvalidProblem(
            "The teacher overlaps `T` are singular, but the reduced chain needs their inverse; use "
            'simulator="direct", or drop dependent teachers.'
        )
    generators = [np.random.default_rng(seed) for seed in seeds]
    runs, training = _begin(problem, draws, precision), training_of(problem, precision)
    variances = jnp.asarray(np.ones(1) if spectrum is None else spectrum.variances, precision)
    size = jnp.asarray(dimension, precision)
    units = problem.students + problem.teachers
    Q, M, A = [], [], []
    noise, first, at = None, 0, 0
    for stop in steps.tolist():
        while at < stop:
            if noise is None or at == first + _BLOCK:
                first = at
                noise = jnp.asarray(_noise(generators, units, sizes), precision)
            until = min(stop, first + _BLOCK)
            span = (jnp.asarray(first), jnp.asarray(at - first), jnp.asarray(until - first))
            runs = advance(runs, noise, *span, size, training, variances)
            done((until - at) * len(draws))
            at = until
        lost = np.asarray(runs.stopped)[:, None, None, None]
        for kept, part in ((Q, runs.Q), (M, runs.M)):
            values = np.where(lost, np.nan, np.asarray(part, np.float64))
            kept.append(values[:, 0] if spectrum is None else values)
        A.append(np.asarray(runs.a, np.float64) / problem.kappa[0])
    return np.stack(Q, 1), np.stack(M, 1), np.stack(A, 1), np.asarray(runs.stopped_at)


def _noise(
    generators: Sequence[np.random.Generator], units: int, sizes: Sequence[int]
) -> Float[np.ndarray, "run step number"]:
    """Random numbers of a block of steps: normals and the rest of |x|^2 by bin, label's noise."""
    blocks = []
    for rng in generators:
        block = rng.standard_normal((_BLOCK, len(sizes) * (units + 1) + 1))
        for index, size in enumerate(sizes):
            at, free = index * (units + 1) + units, size - units
            block[:, at] = rng.chisquare(free, _BLOCK) if free else 0.0
        blocks.append(block)
    return np.stack(blocks)
