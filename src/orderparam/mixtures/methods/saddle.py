"""The saddle-point method: order parameters and errors of the limit, for all points at once."""

import time
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from orderparam.contract import Estimate, Method, SavePlan
from orderparam.mixtures.model.losses import HardMargin
from orderparam.mixtures.model.spectrum import Full
from orderparam.mixtures.problem import MixtureERM
from orderparam.mixtures.theory.batches import (
    BATCHES,
    batch_size,
    finished,
    guesses,
    make_setup,
    padded,
)
from orderparam.mixtures.theory.equations import Point, Setup
from orderparam.mixtures.theory.existence import require_minimiser
from orderparam.mixtures.theory.fixed_point import Found, iterate_all
from orderparam.mixtures.theory.pack import pack_theory
from orderparam.mixtures.theory.polishing import polish_all
from orderparam.numerics.gaussian import checked_nodes, gaussian_rule
from orderparam.results import Solution
from orderparam.support.arguments import integer, probability, real
from orderparam.support.progress import progress as progress_bar

_RATIO = 2.0
_MARGIN_STEPS = 14
_POLISHED = 80
_RATE = 2e9

_COMPILATION = 8.0
"""Seconds that compiling takes on one core, as measured."""


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

    Source: Loureiro et al. (2021); docs/theory/mixtures.md, Field equations, Weights under l2,
    Smooth losses, Solving the equations.
    """

    family: ClassVar[str] = "mixtures"
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
        self.tolerance = real("tolerance", tolerance, 1e-14, 1.0, open_high=True)
        self.iterations = integer("iterations", iterations, 2)
        self.nodes = checked_nodes(nodes)
        self.accuracy = probability("accuracy", accuracy)

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
        memory = 64 * clusters * nodes * outputs**2 * min(points, BATCHES[-1])
        if isinstance(spectrum, Full):
            size = outputs * spectrum.dimension
            work, memory = work + 8.0 * size**3, memory + 8 * 8 * size**2
        return Estimate(int(memory), 40 * points * work / _RATE, _COMPILATION)

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
        begin = guesses(setup, points) if starts is None else jnp.asarray(starts[fill])
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
            guess = guesses(setup, stage)[0] if at is None else at
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
