"""From solved equations to a solution: errors, losses, labels and the verdict."""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from orderparam.errors import UnsupportedCombination
from orderparam.mixtures.glossary import coordinates, lifted, variable
from orderparam.mixtures.model.losses import Squared
from orderparam.mixtures.problem import MixtureERM
from orderparam.mixtures.theory.bayes import bayes_error
from orderparam.mixtures.theory.equations import Overlaps, Point, Setup
from orderparam.mixtures.theory.observables import Averages, exact_rates, sampled_rates
from orderparam.mixtures.theory.separability import separability_threshold
from orderparam.results import Solution, Verdict, build_solution
from orderparam.results.uncertainty import relative_bias

SOURCES = ["loureiro2021"]
_OWN_ERRORS = ("residual", "quadrature_error")


@dataclass(frozen=True)
class Solved:
    """Overlaps of all points, and how well they solve the equations."""

    setup: Setup
    points: Point
    overlaps: Overlaps
    averages: Averages
    residual: Float[np.ndarray, " point"]
    quadrature_error: Float[np.ndarray, " point"]
    evaluations: np.ndarray


class Sampling(NamedTuple):
    """Values as means over replicates of the draws, with the standard errors of these means.

    Attributes:
        values: Every variable, with a leading axis for points.
        errors: Standard errors of those that are sampled.
        worst: Largest standard error of Q, V and m, relative to the size of each.
        accuracy: Largest such error that counts as accurate.
    """

    values: dict[str, np.ndarray]
    errors: dict[str, np.ndarray]
    worst: float
    accuracy: float


def pack_theory(
    problem: MixtureERM,
    solved: Solved,
    method: Mapping[str, Any],
    seed: int,
    tolerance: float,
    accuracy: float,
    began: float,
    sampling: Sampling | None = None,
) -> Solution:
    """Evaluate errors and losses; points that missed the tolerance become NaN."""
    bad = ~(solved.residual <= tolerance)
    values, errors = sampling[:2] if sampling else evaluate(problem, solved)
    for name, array in values.items():
        if name not in _OWN_ERRORS:
            array[bad] = np.nan
    # What a refined quadrature, or one more evaluation, would change of the equations.
    biased = np.hypot(solved.quadrature_error, solved.residual)
    shape = problem.shape
    variables = {}
    for name, array in values.items():
        ending = array.shape[1:]
        given = {} if name in _OWN_ERRORS else {"bias": relative_bias(array, biased)}
        given |= {"se": errors[name]} if name in errors else {}
        parts = {kind: part.reshape((*shape, *ending)) for kind, part in given.items()}
        whole = array.reshape((*shape, *ending))
        variables[name] = variable(problem, name, whole, leading=problem.dims, **parts)
    verdict, message = _verdict(problem, solved, bad, tolerance, accuracy)
    if sampling and verdict.ok:
        verdict, message = _sampled_verdict(sampling, message)
    return build_solution(
        variables,
        coordinates(problem),
        family=problem.family,
        kind="theory",
        problem=problem.config(),
        method=method,
        seed=seed,
        verdict=verdict,
        message=" ".join([message, *problem.mixture.notes()]),
        diagnostics={
            "residual": float(np.max(solved.residual)),
            "quadrature_error": float(np.max(solved.quadrature_error)),
            "evaluations": int(np.sum(solved.evaluations)),
            "most_evaluations": int(np.max(solved.evaluations)),
            "unsolved_points": int(bad.sum()),
            **({"sampling_error": sampling.worst} if sampling else {}),
            **_references(problem),
        },
        precision="float64",
        device=jax.devices()[0].device_kind,
        wall_time=time.perf_counter() - began,
        compile_time=None,
        sources=SOURCES,
    )


def evaluate(
    problem: MixtureERM, solved: Solved
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Every variable with a leading axis for points, and standard errors of what is sampled."""
    setup, points = solved.setup, solved.points
    x = Overlaps(*(np.asarray(part) for part in solved.overlaps))
    averages = {name: np.array(value) for name, value in solved.averages._asdict().items()}
    shift = averages.pop("shift")
    alpha, strength = (np.asarray(part) for part in points)
    codes = problem.codes
    if codes.shape[1] == 1:
        confusion, rates = exact_rates(problem, x, shift)
    else:
        confusion, rates = sampled_rates(problem, setup, x)
    averages["energy"] = alpha * averages["train_loss"] + strength * averages["penalty"]
    values = {
        "test_error": rates[:, 0],
        "train_error": rates[:, 2],
        **averages,
        "Q": lifted(problem, x.Q, 2),
        "V": lifted(problem, x.V, 2),
        "m": lifted(problem, x.m, 1),
        "b": bias(problem, x.b),
        "confusion": confusion,
        "residual": solved.residual.copy(),
        "quadrature_error": solved.quadrature_error.copy(),
    }
    if not np.isfinite(values["test_loss"]).all():  # the hard margin has no finite loss
        del values["test_loss"]
    sampled = codes.shape[1] > 1
    errors = {"test_error": rates[:, 1], "train_error": rates[:, 3]} if sampled else {}
    return {name: np.array(value) for name, value in values.items()}, errors


def bias(problem: MixtureERM, b: Float[np.ndarray, "... output"]) -> Float[np.ndarray, "..."]:
    """The bias in the user's outputs; one-hot targets have the mean 1/C, which it carries."""
    full = lifted(problem, b, 1)
    reduced = problem.codes.shape[1] < problem.mixture.classes
    if isinstance(problem.loss, Squared) and full.ndim == b.ndim and reduced:
        full = full + 1 / problem.mixture.classes
    return full


def _references(problem: MixtureERM) -> dict[str, float]:
    """Known limits of the mixture, for figures and claims: threshold and Bayes error."""
    found: dict[str, float] = {}
    mixture = problem.mixture
    if mixture.classes == 2 and mixture.clusters == 2 and mixture.weights.all():
        threshold = separability_threshold(mixture, problem.fit_bias)
        if threshold is not None and np.isfinite(threshold):
            found["separability_threshold"] = threshold
        if not problem.alpha.ndim and np.array_equal(problem.test_weights, mixture.weights):
            with contextlib.suppress(UnsupportedCombination):
                found["bayes_error"] = bayes_error(mixture, float(problem.alpha))
    return found


def _verdict(
    problem: MixtureERM, solved: Solved, bad: np.ndarray, tolerance: float, accuracy: float
) -> tuple[Verdict, str]:
    """The worst point decides."""
    alphas, strengths = problem.points()
    if bad.any():
        worst = int(np.argmax(np.nan_to_num(solved.residual, nan=np.inf)))
        where = f"alpha = {alphas[worst]:g}, strength = {strengths[worst]:g}"
        return Verdict.NOT_CONVERGED, (
            f"{int(bad.sum())} of {len(bad)} points missed the tolerance {tolerance:g} and are "
            f"NaN; the worst, {where}, has the residual {solved.residual[worst]:.2g}."
        )
    worst = float(np.max(solved.quadrature_error))
    if not worst <= accuracy:
        return Verdict.ERROR_TOO_LARGE, (
            f"A refined quadrature changes the equations by {worst:.2g}, more than {accuracy:g}; "
            "raise `nodes`."
        )
    return Verdict.CONVERGED, (
        f"All {len(bad)} points solve the equations to {float(np.max(solved.residual)):.1g}; a "
        f"refined quadrature changes them by {worst:.1g}."
    )


def _sampled_verdict(sampling: Sampling, message: str) -> tuple[Verdict, str]:
    """Solved equations are as good as the draws in them."""
    errors = f"Q, V and m have standard errors of up to {sampling.worst:.2g} of their size"
    if sampling.worst <= sampling.accuracy:
        return Verdict.CONVERGED, f"{message} {errors}."
    return Verdict.ERROR_TOO_LARGE, f"{errors}, more than {sampling.accuracy:g}; raise `draws`."
