"""The saddle-point method: order parameters and errors of the limit, for all points at once."""

import time
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from orderparam.contract import Estimate, Method, SavePlan
from orderparam.mixtures.model.losses import HardMargin
from orderparam.mixtures.model.spectrum import Full
from orderparam.mixtures.problem import MixtureERM
from orderparam.mixtures.theory.batches import guesses, joined, judged, make_setup
from orderparam.mixtures.theory.equations import Point, Setup
from orderparam.mixtures.theory.existence import require_minimiser
from orderparam.mixtures.theory.fixed_point import Found
from orderparam.mixtures.theory.pack import pack_theory
from orderparam.mixtures.theory.polishing import polish_all
from orderparam.mixtures.theory.solving import Ends, batch_size, solved_points
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
        memory = 64 * clusters * nodes * outputs**2
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
        points = Point(*problem.points())
        found = []
        with progress_bar(len(points.alpha), self.name, progress) as advance:
            size = batch_size(setup)
            for first in range(0, len(points.alpha), size):
                chosen = Point(*(part[first : first + size] for part in points))
                found.append(self._ends(setup, *chosen))
                advance(len(chosen.alpha))
        solved = judged(setup, points, joined(found))
        return pack_theory(
            problem, solved, self.config(), seed, self.tolerance, self.accuracy, began
        )

    def find(
        self,
        setup: Setup,
        alphas: Float[np.ndarray, " point"],
        strengths: Float[np.ndarray, " point"],
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Packed overlaps, residuals and numbers of evaluations of a batch of points."""
        ends = self._ends(setup, alphas, strengths)
        return ends.packed, ends.residual, ends.evaluations

    def _ends(
        self,
        setup: Setup,
        alphas: Float[np.ndarray, " point"],
        strengths: Float[np.ndarray, " point"],
    ) -> Ends:
        """Iterate a batch of points, and rescue those that missed the tolerance."""
        starts = guesses(setup, alphas, strengths)
        ends = self._iterated(setup, Point(alphas, strengths), starts, self.iterations)
        missed = np.flatnonzero(~(ends.residual <= self.tolerance)).tolist()
        if not missed:
            return ends
        ends = jax.tree.map(np.array, ends)
        for index in missed:
            single = Point(alphas[index, None], strengths[index, None])
            better = self._rescued(setup, single, ends.packed[index])
            ends.evaluations[index] += int(better.evaluations)
            residual = ends.residual[index]
            if float(better.residual) < residual or not np.isfinite(residual):
                again = self._iterated(setup, single, np.asarray(better.packed)[None], 1)
                again = again._replace(
                    packed=np.asarray(better.packed)[None],
                    residual=np.asarray(better.residual)[None],
                    evaluations=ends.evaluations[index, None],
                )
                _put(ends, index, again)
        return ends

    def _iterated(self, setup: Setup, points: Point, starts: np.ndarray, most: int) -> Ends:
        return solved_points(setup, self.nodes, *points, starts, self.tolerance, most)

    def _rescued(self, setup: Setup, point: Point, start: np.ndarray) -> Found:
        """Levenberg-Marquardt from the best point, then continuation in the strength."""
        found = self._polished(setup, point, start)
        if float(found.residual) <= self.tolerance or isinstance(setup.spectrum, Full):
            return found
        total = int(found.evaluations)
        at: np.ndarray | None = None
        before: np.ndarray | None = None
        for stage in _path(setup, point):
            guess = guesses(setup, *stage)[0] if at is None else at
            if at is not None and before is not None:
                guess = 2 * at - before
            found = self._one(setup, stage, guess)
            if float(found.residual) > 1e-3 and at is not None:
                found = self._one(setup, stage, at)
            total += int(found.evaluations)
            before, at = at, np.asarray(found.packed)
        return found._replace(evaluations=total)

    def _one(self, setup: Setup, point: Point, start: np.ndarray) -> Found:
        found = self._polished(setup, point, start)
        if float(found.residual) <= self.tolerance:
            return found
        again = self._iterated(setup, point, start[None], self.iterations)
        better = self._polished(setup, point, again.packed[0])
        return min((found, better), key=lambda end: float(np.nan_to_num(end.residual, nan=np.inf)))

    def _polished(self, setup: Setup, point: Point, start: np.ndarray) -> Found:
        if len(start) > 100 or isinstance(setup.spectrum, Full):  # the Jacobian would not pay
            ends = self._iterated(setup, point, start[None], 4 * self.iterations)
            return Found(ends.packed[0], ends.residual[0], ends.evaluations[0])
        found = polish_all(setup, point, jnp.asarray(start[None]), self.tolerance, _POLISHED)
        return Found(*(np.asarray(part[0]) for part in found))


def _put(ends: Ends, index: int, new: Ends) -> None:
    """Replace one point."""
    for part, own in zip(jax.tree.leaves(ends), jax.tree.leaves(new), strict=True):
        part[index] = own[0]


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
    return [Point(np.array([a]), np.array([s])) for a, s in pairs]
