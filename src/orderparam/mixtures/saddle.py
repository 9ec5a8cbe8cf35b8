"""The saddle-point method: order parameters and errors of the limit, for all points at once."""

import time
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from orderparam.contract import Estimate, Method, SavePlan
from orderparam.errors import InvalidProblem
from orderparam.mixtures.equations import Point, Setup, first_guess, image, pack, unpack
from orderparam.mixtures.existence import require_minimiser
from orderparam.mixtures.fixed_point import Found, iterate_all, polish_all
from orderparam.mixtures.losses import HardMargin
from orderparam.mixtures.observables import evaluate_all
from orderparam.mixtures.pack import Solved, pack_theory
from orderparam.mixtures.problem import MixtureERM
from orderparam.mixtures.quadrature import gaussian_rule
from orderparam.mixtures.spectrum import Full
from orderparam.progress import progress as progress_bar
from orderparam.results import Solution

_BATCHES = (1, 6, 32)
_RATIO = 2.0
_MARGIN_STEPS = 14
_POLISHED = 80
_RATE = 2e9


class SaddlePoint(Method):
    """Iterates the saddle-point equations to a fixed point.

    A damped iteration with Anderson acceleration, semi-implicit in means and bias; what it misses
    goes to Levenberg-Marquardt with exact derivatives, and then to a continuation in the strength
    of the penalty from 1. Points are solved together, each until it has converged.

    Args:
        tolerance: Largest relative change by the equations that counts as solved.
        iterations: Evaluations of the equations before the next stage takes over.
        nodes: Quadrature nodes for one output.
        accuracy: Largest relative change by a refined quadrature that counts as accurate.

    Raises:
        InvalidProblem: If a setting is outside its range.

    Cost: per evaluation `K * nodes` proximal points and one pass over the atoms, or one
    factorisation of size L d for full covariances.

    Source: Loureiro et al. (2021); mixtures.md sections 2 to 6.
    """

    name: ClassVar[str] = "saddle-point"

    tolerance: float = eqx.field(static=True)
    iterations: int = eqx.field(static=True)
    nodes: int = eqx.field(static=True)
    accuracy: float = eqx.field(static=True)

    def __init__(
        self,
        tolerance: float = 1e-10,
        iterations: int = 150,
        nodes: int = 201,
        accuracy: float = 3e-3,
    ) -> None:
        if not 1e-14 <= tolerance < 1 or not 0 < accuracy < 1:
            raise InvalidProblem(
                f"Arguments `tolerance` (at least 1e-14) and `accuracy` must be positive and below "
                f"1, but are {tolerance} and {accuracy}."
            )
        if min(iterations, nodes) < 2:
            raise InvalidProblem(
                f"Arguments `iterations` and `nodes` must be at least 2: {iterations}, {nodes}."
            )
        self.tolerance, self.accuracy = float(tolerance), float(accuracy)
        self.iterations, self.nodes = int(iterations), int(nodes)

    def config(self) -> Mapping[str, Any]:
        """The settings as plain JSON values."""
        names = ("tolerance", "iterations", "nodes", "accuracy")
        return {"name": self.name, **{n: getattr(self, n) for n in names}}

    def estimate(self, problem: MixtureERM, save: SavePlan) -> Estimate:
        """Memory of one batch of points, and time of 40 evaluations of each."""
        del save
        outputs, clusters = problem.codes.shape[1], problem.mixture.clusters
        nodes = len(gaussian_rule(outputs, self.nodes)[1])
        spectrum = problem.mixture.spectrum
        points = len(problem.points()[0])
        work = 400.0 * clusters * nodes * outputs**2
        memory = 64 * clusters * nodes * outputs**2 * min(points, _BATCHES[-1])
        if isinstance(spectrum, Full):
            size = outputs * spectrum.dimension
            work, memory = work + 8.0 * size**3, memory + 8 * 8 * size**2
        return Estimate(int(memory), 40 * points * work / _RATE)

    def solve(self, problem: MixtureERM, save: SavePlan, seed: int, progress: bool) -> Solution:
        """Solve all points and evaluate what follows from them."""
        del save
        require_minimiser(problem)
        began = time.perf_counter()
        setup = make_setup(problem, self.nodes)
        alphas, strengths = problem.points()
        found = []
        with progress_bar(len(alphas), self.name, progress) as advance:
            size = batch_size(setup)
            for first in range(0, len(alphas), size):
                chosen = slice(first, first + size)
                found.append(self.find(setup, alphas[chosen], strengths[chosen]))
                advance(len(alphas[chosen]))
        packed, residual, counts = (np.concatenate(part) for part in zip(*found, strict=True))
        solved = finished(problem, setup, self.nodes, packed, residual, counts)
        return pack_theory(
            problem, solved, self.config(), seed, self.tolerance, self.accuracy, began
        )

    def find(
        self,
        setup: Setup,
        alphas: Float[np.ndarray, " point"],
        strengths: Float[np.ndarray, " point"],
        starts: Float[np.ndarray, "point unknown"] | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Packed overlaps, residuals and numbers of evaluations of a batch of points."""
        count = len(alphas)
        fill = np.minimum(np.arange(padded(count)), count - 1)
        points = Point(jnp.asarray(alphas[fill]), jnp.asarray(strengths[fill]))
        begin = _guesses(setup, points) if starts is None else jnp.asarray(starts[fill])
        found = iterate_all(
            setup, points, begin, jnp.asarray(self.tolerance), jnp.asarray(self.iterations)
        )
        packed, residual, counts = (np.array(part)[:count] for part in found)
        for index in np.flatnonzero(~(residual <= self.tolerance)):
            single = Point(points.alpha[index, None], points.strength[index, None])
            better = self._rescued(setup, single, packed[index])
            counts[index] += int(better.evaluations)
            if float(better.residual) < residual[index] or not np.isfinite(residual[index]):
                packed[index], residual[index] = better.packed, better.residual
        return packed, residual, counts

    def _rescued(self, setup: Setup, point: Point, start: np.ndarray) -> Found:
        """Levenberg-Marquardt from the best point, then continuation in the strength."""
        found = self._polished(setup, point, jnp.asarray(start))
        if float(found.residual) <= self.tolerance or isinstance(setup.spectrum, Full):
            return found
        total = int(found.evaluations)
        at: Array | None = None
        before: Array | None = None
        for stage in _path(setup, point):
            guess = _guesses(setup, stage)[0] if at is None else at
            if at is not None and before is not None:
                guess = 2 * at - before
            found = self._one(setup, stage, guess)
            if float(found.residual) > 1e-3 and at is not None:
                found = self._one(setup, stage, at)
            total += int(found.evaluations)
            before, at = at, found.packed
        return found._replace(evaluations=jnp.asarray(total))

    def _one(self, setup: Setup, point: Point, start: Array) -> Found:
        found = self._polished(setup, point, start)
        if float(found.residual) <= self.tolerance:
            return found
        limits = jnp.asarray(self.tolerance), jnp.asarray(self.iterations)
        again = iterate_all(setup, point, start[None], *limits)
        better = self._polished(setup, point, again.packed[0])
        return min(
            (found, better), key=lambda end: float(jnp.nan_to_num(end.residual, nan=jnp.inf))
        )

    def _polished(self, setup: Setup, point: Point, start: Array) -> Found:
        if len(start) > 100 or isinstance(setup.spectrum, Full):  # the Jacobian would not pay
            limits = jnp.asarray(self.tolerance), jnp.asarray(4 * self.iterations)
            found = iterate_all(setup, point, start[None], *limits)
        else:
            found = polish_all(setup, point, start[None], self.tolerance, _POLISHED)
        return Found(*(part[0] for part in found))


def _path(setup: Setup, point: Point) -> list[Point]:
    """Points from an easy one to a hard one: strengths from 1; for the hard margin, samples."""
    alpha, strength = float(point.alpha[0]), float(point.strength[0])
    if isinstance(setup.loss, HardMargin):
        alphas = alpha * (1 - np.geomspace(0.7, 0.01, _MARGIN_STEPS))
        pairs = [(a, 1.0) for a in (*alphas, alpha)]
    else:
        reach = np.log(max(strength, 1e-12))
        steps = 1 + int(np.ceil(abs(reach) / np.log(_RATIO)))
        pairs = [(alpha, s) for s in np.exp(np.linspace(0.0, reach, steps))]
    return [Point(jnp.asarray([a]), jnp.asarray([s])) for a, s in pairs]


def batch_size(setup: Setup) -> int:
    """Points solved together: one where a factorisation outweighs everything else."""
    return 1 if isinstance(setup.spectrum, Full) else _BATCHES[-1]


def padded(count: int) -> int:
    """The compiled size that holds so many points."""
    return next(size for size in _BATCHES if size >= count)


def make_setup(problem: MixtureERM, nodes: int) -> Setup:
    """The arrays of a problem for compiled programs, with a quadrature rule."""
    mixture, codes = problem.mixture, problem.codes
    x, w = gaussian_rule(codes.shape[1], nodes)
    return Setup(
        jax.tree.map(jnp.asarray, mixture.spectrum),
        jnp.asarray(mixture.weights),
        jnp.asarray(problem.class_weights[mixture.labels]),
        jnp.asarray(codes[mixture.labels]),
        jnp.asarray(x),
        jnp.asarray(w),
        problem.loss,
        problem.penalty,  # type: ignore[arg-type]
        problem.fit_bias,
    )


def finished(
    problem: MixtureERM,
    setup: Setup,
    nodes: int,
    packed: Float[np.ndarray, "point unknown"],
    residual: Float[np.ndarray, " point"],
    counts: np.ndarray,
) -> Solved:
    """Evaluate solved points, in batches of the size that was compiled."""
    alphas, strengths = problem.points()
    fine = gaussian_rule(setup.codes.shape[1], nodes, fine=True)
    rule = (jnp.asarray(fine[0]), jnp.asarray(fine[1]))
    parts = []
    size = batch_size(setup)
    for first in range(0, len(alphas), size):
        count = min(size, len(alphas) - first)
        fill = first + np.minimum(np.arange(padded(count)), count - 1)
        points = Point(jnp.asarray(alphas[fill]), jnp.asarray(strengths[fill]))
        done = evaluate_all(setup, rule, points, jnp.asarray(packed[fill]))
        parts.append(jax.tree.map(lambda leaf, n=count: np.asarray(leaf)[:n], done))
    xs, averages, error = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    # What one rule leaves unsolved, the other does too: only the difference is its error.
    error = np.maximum(error - residual, 0.0)
    return Solved(setup, Point(alphas, strengths), xs, averages, residual, error, counts)


@eqx.filter_jit
def _guesses(setup: Setup, points: Point) -> Float[Array, "point unknown"]:
    return jax.vmap(lambda p: pack(first_guess(setup, p)))(points)


def residuals_all(
    setup: Setup,
    alphas: Float[np.ndarray, " point"],
    strengths: Float[np.ndarray, " point"],
    packed: Float[Array, "point unknown"],
) -> Float[Array, " point"]:
    """Residual of the equations at given overlaps."""
    points = Point(jnp.asarray(alphas), jnp.asarray(strengths))
    return _residuals(setup, points, packed)


@eqx.filter_jit
def _residuals(
    setup: Setup, points: Point, packed: Float[Array, "point unknown"]
) -> Float[Array, " point"]:
    K, L = setup.codes.shape
    return jax.vmap(lambda p, x: image(setup, p, unpack(x, K, L)).residual)(points, packed)
