"""The saddle-point method where the law of the weights has no closed form: averages over draws."""

import time
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from orderparam.contract import Estimate, Method, SavePlan
from orderparam.errors import CapacityExceeded, UnsupportedCombination
from orderparam.mixtures.model.sampling import noise_draws
from orderparam.mixtures.model.spectrum import Full, Sampled
from orderparam.mixtures.problem import MixtureERM
from orderparam.mixtures.theory.batches import finished, guesses, setup_with
from orderparam.mixtures.theory.equations import Point, Setup
from orderparam.mixtures.theory.fixed_point import Found, iterate
from orderparam.mixtures.theory.pack import Sampling, Solved, evaluate, pack_theory
from orderparam.mixtures.theory.rules import Rules, rules_of
from orderparam.numerics.gaussian import checked_nodes
from orderparam.results import Solution
from orderparam.support.arguments import integer, optional, probability, real
from orderparam.support.memory import require_numbers
from orderparam.support.programs import program
from orderparam.support.progress import progress as progress_bar

_LARGEST = 1000
_QUADRATURE = 3e-3
_EVALUATIONS = 30
_RATE = 1.2e10

_COMPILATION = 8.0
"""Seconds that compiling takes on one core, as measured."""


class SampledWeights(Method):
    """l1 or elastic net with covariances that are not diagonal: the weights are drawn.

    The average over the weights is one over draws of the noise, each a quadratic problem with an
    l1 term in all d coordinates. The noise is drawn once for a whole solve, in independent
    replicates that are each solved to their own fixed point: results are their means, with
    standard errors. The response follows from the active coordinates, which change by jumps, so
    that the equations of a few draws are solved to some 1e-3 only, far below their errors.

    Args:
        draws: Draws in each replicate; `None` for about 900/d, which makes errors of some percent.
        replicates: Independent replicates, at least 2.
        tolerance: Largest relative change by the equations that counts as solved.
        iterations: Evaluations of the equations.
        nodes: Quadrature nodes for the channel.
        accuracy: Largest standard error of Q, V and m, relative to their size, that counts as
            accurate.

    Raises:
        InvalidProblem: If a setting is outside its range.

    Cost: some 30 evaluations, each one factorisation and inverse of size d for every draw.

    Source: docs/theory/mixtures.md, l1 on covariances that are not diagonal.
    """

    family: ClassVar[str] = "mixtures"
    name: ClassVar[str] = "sampled-weights"

    draws: int | None = eqx.field(static=True)
    replicates: int = eqx.field(static=True)
    tolerance: float = eqx.field(static=True)
    iterations: int = eqx.field(static=True)
    nodes: int = eqx.field(static=True)
    accuracy: float = eqx.field(static=True)

    def __init__(
        self,
        draws: int | None = None,
        replicates: int = 8,
        tolerance: float = 2e-3,
        iterations: int = 40,
        nodes: int = 201,
        accuracy: float = 0.05,
    ) -> None:
        self.draws = optional(integer, "draws", draws)
        self.replicates = integer("replicates", replicates, 2)
        self.tolerance = real("tolerance", tolerance, 1e-14, 1.0, open_high=True)
        self.iterations = integer("iterations", iterations, 2)
        self.nodes = checked_nodes(nodes)
        self.accuracy = probability("accuracy", accuracy)
        require_numbers("draws", self.draws or 1)

    def config(self) -> Mapping[str, Any]:
        """The settings as plain JSON values."""
        names = ("draws", "replicates", "tolerance", "iterations", "nodes", "accuracy")
        return {"name": self.name, **{n: getattr(self, n) for n in names}}

    def estimate(self, problem: MixtureERM, save: SavePlan) -> Estimate:
        """A few matrices a draw, and 30 evaluations."""
        del save
        spectrum = _matrices(problem)
        count, d = self.replicates * self._draws(spectrum), spectrum.dimension
        work = _EVALUATIONS * count * (2.5 * d**3 + 300.0 * d**2 + 3e4 * d)
        seconds = len(problem.points()[0]) * work / _RATE
        return Estimate(8 * 4 * count * d**2, seconds, _COMPILATION)

    def solve(self, problem: MixtureERM, save: SavePlan, seed: int, progress: bool) -> Solution:
        """Solve every replicate of every point, and average what follows from them."""
        spectrum = _matrices(problem)
        if spectrum.dimension > _LARGEST:
            raise CapacityExceeded(
                f"Covariances of {spectrum.dimension} coordinates are more than {_LARGEST}; "
                f"sampled weights would take {self.estimate(problem, save)}. Describe them by a "
                "smaller representative, or use 'l2'."
            )
        began = time.perf_counter()
        noise = noise_draws(spectrum, self.replicates, self._draws(spectrum), seed)
        setup = setup_with(problem, _sampled(spectrum, noise[0]), self.nodes)
        alphas, strengths = problem.points()
        rows: list[Found] = []
        start: Array | None = None
        with progress_bar(len(alphas), self.name, progress) as advance:
            for alpha, strength in zip(alphas, strengths, strict=True):
                point = Point(jnp.asarray(alpha), jnp.asarray(strength))
                rows.append(self._found(setup, jnp.asarray(noise), point, start))
                good = rows[-1].residual <= self.tolerance
                start = rows[-1].packed if bool(good.all()) else None
                advance()
        found = Found(*(np.stack([np.asarray(row[i]) for row in rows]) for i in range(3)))
        return self._packed(problem, spectrum, noise, found, seed, began)

    def _found(self, setup: Setup, noise: Array, point: Point, start: Array | None) -> Found:
        """All replicates of a point, from the last one or from the general first guess."""
        if start is None:
            first = guesses(setup, np.asarray(point.alpha)[None], np.asarray(point.strength)[None])
            start = jnp.broadcast_to(first, (len(noise), first.shape[1]))
        # Far below the tolerance where no jump is in the way.
        limits = jnp.asarray(1e-4 * self.tolerance), jnp.asarray(self.iterations)
        rules = rules_of(setup.codes.shape[1], self.nodes)
        return _iterate_replicates(setup, rules, noise, point, start, *limits)

    def _packed(
        self,
        problem: MixtureERM,
        spectrum: Full,
        noise: np.ndarray,
        found: Found,
        seed: int,
        began: float,
    ) -> Solution:
        """Evaluate each replicate; the worst one judges the solution."""
        parts, solved = [], []
        for r in range(self.replicates):
            setup = setup_with(problem, _sampled(spectrum, noise[r]), self.nodes)
            ends = (found.packed[:, r], found.residual[:, r], found.evaluations[:, r])
            solved.append(finished(problem, setup, self.nodes, *ends))
            parts.append(evaluate(problem, solved[-1])[0])
        residual = np.nan_to_num(found.residual, nan=np.inf).max(axis=1)
        errors = np.stack([s.quadrature_error for s in solved]).max(axis=0)
        last = solved[-1]
        judged = Solved(
            last.setup, last.points, last.overlaps, last.averages, residual, errors,
            found.evaluations.sum(axis=1),
        )  # fmt: skip
        sampling = _averaged(parts, judged, self.accuracy)
        return pack_theory(
            problem, judged, self.config(), seed, self.tolerance, _QUADRATURE, began, sampling
        )

    def _draws(self, spectrum: Full) -> int:
        return self.draws or max(1, round(900 / spectrum.dimension))


def _matrices(problem: MixtureERM) -> Full:
    spectrum = problem.mixture.spectrum
    if not problem.needs_sampling or not isinstance(spectrum, Full):
        raise UnsupportedCombination(
            "SampledWeights is for 'l1' and elastic nets with covariances that are not diagonal, "
            f"but the penalty is {problem.penalty.name!r} here on "
            f"{type(spectrum).__name__.lower()} covariances; use SaddlePoint."
        )
    return spectrum


def _sampled(spectrum: Full, noise: np.ndarray) -> Sampled:
    return jax.tree.map(jnp.asarray, Sampled(spectrum.means, spectrum.covariances, noise))


def _averaged(parts: list[dict[str, np.ndarray]], solved: Solved, accuracy: float) -> Sampling:
    """Means over the replicates and their standard errors."""
    values = {name: np.stack([part[name] for part in parts]) for name in parts[0]}
    means = {name: value.mean(axis=0) for name, value in values.items()}
    means["residual"], means["quadrature_error"] = solved.residual, solved.quadrature_error
    errors = {
        name: value.std(axis=0, ddof=1) / np.sqrt(len(parts))
        for name, value in values.items()
        if name not in ("residual", "quadrature_error")
    }
    worst = max(
        float(np.max(np.abs(errors[n]).max(axis=-1) / np.abs(means[n]).max(axis=-1)))
        for n in ("Q", "V", "m")
    )
    return Sampling(means, errors, worst, accuracy)


@program
def _iterate_replicates(
    setup: Setup,
    rules: Rules,
    noise: Float[Array, "replicate draw cluster dimension"],
    point: Point,
    starts: Float[Array, "replicate unknown"],
    tolerance: Array,
    most: Array,
) -> Found:
    """`iterate` for every replicate of the noise."""

    def one(noise: Array, start: Array) -> Found:
        own = eqx.tree_at(lambda s: s.spectrum.noise, setup, noise)
        end = iterate(own, rules, point, start, tolerance, most)
        return Found(end.best, end.residual, end.turn)

    return jax.vmap(one)(noise, starts)
