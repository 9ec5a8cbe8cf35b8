"""From the moments of several sets of neurons to a solution. Nothing here knows of a depth."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from orderparam.fluctuations.glossary import (
    coordinates,
    separated,
    separated_pairs,
    sources,
    variable,
)
from orderparam.fluctuations.problem import FiniteWidth
from orderparam.fluctuations.theory.diagnosis import (
    crossing_width,
    errors,
    judge,
    notes,
    stability_margin,
    widths,
)
from orderparam.fluctuations.theory.statistics import Moments
from orderparam.kernels import checked_loss
from orderparam.results import Coordinate, Solution, Variable, Verdict, build_solution

LEVELS = "ntk_eigenvalues"

Parts = dict[str, dict[str, Float[np.ndarray, "..."]]]
"""Arrays of one set of neurons by suffix and quantity, shaped as in the glossary."""


def parts_of(problem: FiniteWidth, found: Moments, by_layer: bool = True) -> Parts:
    """Moments (axis of time first) by suffix and quantity, parts of layers too if asked for."""
    evolution = problem.evolution

    def shaped(values: Mapping[str, Any]) -> dict[str, Float[np.ndarray, "..."]]:
        return {n: separated(evolution, n, np.asarray(v)) for n, v in values.items()}

    by_source = {n: np.moveaxis(v, 1, 0) for n, v in shaped(found.variance).items()}
    parts: Parts = {"": shaped(found.limit)}
    if by_source:
        parts["_nvar"] = {n: v.sum(axis=0) for n, v in by_source.items()}
    if by_source and by_layer:
        parts["_nvar_layer"] = by_source
    for suffix, values in (("_shift", found.shift), ("_noise", found.noise)):
        if values:
            parts[suffix] = shaped(values)
    if found.covariance:
        parts["_ncov"] = {
            n: separated_pairs(evolution, n, np.asarray(v)) for n, v in found.covariance.items()
        }
    return parts


def averaged(
    problem: FiniteWidth,
    sets: Sequence[Parts],
    coarser: Sequence[Parts],
    left_out: Float[np.ndarray, " time"] | None = None,
) -> dict[str, Variable]:
    """Variables of the glossary, with errors from several sets and from coarser rules.

    What a method leaves out is relative to the root mean square of a variable.
    """
    variables = {}
    for suffix, quantities in sets[0].items():
        for quantity in quantities:
            values = np.stack([parts[suffix][quantity] for parts in sets])
            mean, se, bias = values.mean(axis=0), None, None
            if len(sets) > 1:
                se = values.std(axis=0, ddof=1) / np.sqrt(len(sets))
            if coarser:
                rough = np.mean([parts[suffix][quantity] for parts in coarser], axis=0)
                bias = np.abs(values[0] - rough)
            if left_out is not None:
                axis = 1 if suffix == "_nvar_layer" else 0
                error = left_out.reshape(*axis * (1,), -1, *(mean.ndim - axis - 1) * (1,))
                known = np.broadcast_to(error * np.sqrt(np.mean(mean**2)), mean.shape)
                bias = known.copy() if bias is None else np.hypot(bias, known)
            variables[quantity + suffix] = variable(
                problem, quantity, suffix, mean, se=se, bias=bias
            )
    return variables


def pack(
    problem: FiniteWidth,
    steps: Int[np.ndarray, " time"],
    sets: Sequence[Moments],
    coarser: Sequence[Moments],
    *,
    method: Mapping[str, Any],
    seed: int,
    accuracy: float,
    remedy: str,
    seen: Mapping[str, Any],
    seconds: float,
    left_out: Float[np.ndarray, " time"] | None = None,
    by_layer: bool = True,
    said: str = "",
) -> Solution:
    """The solution of several sets of neurons, or of a quadrature.

    Args:
        problem: What was solved.
        steps: Saved steps.
        sets: Moments of each set, with the axis of time first.
        coarser: Moments by coarser rules in place of the first set; what their average moves is
            the error of a finite rule that the scatter of sets does not show.
        method: Settings of the method.
        seed: Seed of everything random.
        accuracy: Relative error that was asked for.
        remedy: What lowers the errors, in a sentence.
        seen: What the method noticed about itself.
        seconds: Time of the run.
        left_out: Relative error of what the method is known to leave out, at each saved step.
        by_layer: Whether the sources of the variances are the layers.
        said: What else the message has to say.
    """
    variables = averaged(
        problem,
        [parts_of(problem, found, by_layer) for found in sets],
        [parts_of(problem, found, by_layer) for found in coarser],
        left_out,
    )
    remarks = _without_crossings(variables, accuracy)
    found = _by_suffix(variables)
    variance, shift = found.get("_nvar", {}), found.get("_shift", {})
    relative = errors(found[""], variance, shift, lambda q, s: _error(variables[q + s]))
    trusted = widths(found[""], variance, shift)
    margin = stability_margin(problem, found[""]["ntk"], steps)
    remarks += notes(problem, margin, trusted["valid_width"])
    if "ntk_eigenvalues" in variance:
        levels = (found[""]["ntk_eigenvalues"], variance["ntk_eigenvalues"])
        trusted["width_eigenvalues"] = crossing_width(*levels)
    verdict, message = judge(relative, accuracy, remedy)
    if verdict.ok and "loss" in found[""]:
        verdict, message = checked_loss(found[""]["loss"], steps, message)
    if not all(np.isfinite(v.values).all() for v in variables.values()):
        verdict, message = Verdict.NON_FINITE, "A variable is not finite; lower the learning rate."
    return build_solution(
        variables,
        coordinates(problem, steps)
        | ({"source": sources(problem)} if by_layer else {})
        | _again(found, steps),
        family=problem.family,
        kind="theory",
        problem=problem.config(),
        method=method,
        seed=seed,
        verdict=verdict,
        message=" ".join([message, *([said] if said else []), *remarks]),
        diagnostics={
            **seen, **trusted, "stability_margin": margin,
            "relative_errors": _finite(relative), "notes": remarks,
        },
        precision="float64",
        device=jax.devices()[0].device_kind,
        wall_time=seconds,
        compile_time=None,
        sources=["bordelon2023", "bordelon2022"],
    )  # fmt: skip


def _without_crossings(variables: dict[str, Variable], accuracy: float) -> list[str]:
    """Leave out the shift of eigenvalues where these come too close for it to be known.

    Level repulsion diverges where two eigenvalues of the limit cross, however well all else is
    known. Returns what there is to say.
    """
    one = variables.get(f"{LEVELS}_shift")
    if one is None:
        return []
    values = {LEVELS: variables[LEVELS].values}
    error = errors(values, {}, {LEVELS: one.values}, lambda *_: _error(one))[f"{LEVELS}_shift"]
    if error <= accuracy:
        return []
    del variables[f"{LEVELS}_shift"]
    return [
        f"{LEVELS}_shift is left out, as its error of {error:.1e} is above `accuracy`: eigenvalues "
        "come close to each other, where level repulsion diverges."
    ]


def _by_suffix(variables: Mapping[str, Variable]) -> Parts:
    """Values by suffix and quantity."""
    found: Parts = {"": {}}
    for name, one in variables.items():
        suffix = next(
            (s for s in ("_nvar_layer", "_nvar", "_ncov", "_shift", "_noise") if name.endswith(s)),
            "",
        )
        quantity = name.removesuffix(suffix) if suffix else name
        found.setdefault(suffix, {})[quantity] = one.values
    return found


def _error(one: Variable) -> Float[np.ndarray, "..."]:
    """Standard error and known bias of a variable together."""
    se = np.zeros(one.values.shape) if one.se is None else one.se
    return se if one.bias is None else np.hypot(se, one.bias)


def _again(found: Parts, steps: Int[np.ndarray, " time"]) -> dict[str, Coordinate]:
    """The second time of covariances, if there are any."""
    if "_ncov" not in found:
        return {}
    return {"time_": Coordinate(("time_",), steps, "second step of gradient descent", "steps")}


def _finite(found: Mapping[str, float]) -> dict[str, float]:
    """Numbers that files can hold."""
    return {name: min(value, 1e300) for name, value in found.items()}
