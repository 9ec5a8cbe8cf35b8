"""What networks of a given width do, how wide is wide enough, and whether to ensemble."""

import math
from dataclasses import dataclass

import numpy as np
import xarray as xr

from orderparam.errors import InvalidProblem
from orderparam.fluctuations.glossary import QUANTITIES
from orderparam.fluctuations.theory.diagnosis import NOTHING
from orderparam.results import Solution
from orderparam.support.arguments import instance, integer, one_of, optional, positive, refuse
from orderparam.support.keywords import known_keywords


@dataclass(frozen=True)
class Split:
    """How to spend a budget: `ensemble` networks of `width` neurons a layer.

    Attributes:
        width: N.
        ensemble: E, whose predictions are averaged.
        loss: Expected loss of the averaged predictions.
        parameters: Weights and biases of all of them.
        at_bound: Whether the width is the least at which the expansion has a meaning, so that
            narrower networks might do better still.
    """

    width: int
    ensemble: int
    loss: float
    parameters: int
    at_bound: bool


@known_keywords
def at_width(theory: Solution, width: int, *, ensemble: int = 1) -> xr.Dataset:
    """Mean and spread of every quantity for networks of one width, or for ensembles of them.

    mean = o + beta/N, spread = (Sigma/(N E))^{1/2}. Losses are those of the mean prediction of the
    E networks, whose scatter counts 1/E: L + (beta_L - nu + nu/E)/N with nu = `loss_noise`. All
    else is averaged over the ensemble. Averaging never changes the mean shift of predictions.

    Args:
        theory: A solution with variances and shifts.
        width: N.
        ensemble: E, networks whose predictions are averaged.

    Returns:
        `NAME` and `NAME_spread`, with the coordinates of the theory, and `width`, `ensemble`.

    Raises:
        InvalidProblem: If an argument is outside its range, or the theory has no shifts.

    Source: docs/theory/fluctuations.md, Ensembles and the choice of width.
    """
    theory = _complete(theory)
    N, E = integer("width", width), integer("ensemble", ensemble)
    found = {}
    for name in (n for n in QUANTITIES if n in theory):
        shift = theory[f"{name}_shift"]
        if f"{name}_noise" in theory:
            shift = shift - theory[f"{name}_noise"] * (1 - 1 / E)
        labels = {key: theory[name].attrs[key] for key in ("long_name", "symbol", "units")}
        found[name] = (theory[name] + shift / N).assign_attrs(
            labels | {"long_name": f"mean over networks of {labels['long_name']}"}
        )
        found[f"{name}_spread"] = ((theory[f"{name}_nvar"] / (N * E)) ** 0.5).assign_attrs(
            labels | {"long_name": f"standard deviation over networks of {labels['long_name']}"}
        )
    return xr.Dataset(found).assign_coords(width=N, ensemble=E)


@known_keywords
def minimal_width(theory: Solution, *, relative: float = 0.1, ensemble: int = 1) -> int:
    """The smallest width at which noise and mean shift of the predictions are small at all times.

    (mean Sigma/(N E))^{1/2} <= r S and (mean beta^2)^{1/2}/N <= r S, means over samples, with S the
    largest root mean square of f(t) - f(0), how far the predictions move.

    Args:
        theory: A solution with variances and shifts.
        relative: r, the part of S that is allowed.
        ensemble: E, networks whose predictions are averaged.

    Raises:
        InvalidProblem: If an argument is outside its range, the theory has no shifts, or its
            predictions do not move.

    Source: docs/theory/fluctuations.md, Ensembles and the choice of width.
    """
    theory = _complete(theory)
    allowed, E = positive("relative", relative), integer("ensemble", ensemble)
    f = theory["f"]
    samples = [dim for dim in f.dims if dim != "time"]
    signal = float(np.sqrt(((f - f.isel(time=0)) ** 2).mean(samples)).max())
    if signal <= NOTHING:
        raise InvalidProblem(
            "The predictions of `theory` do not move, so that no width is small beside them; solve "
            "a problem with labels that are not zero, or more steps."
        )
    noise = float(theory["f_nvar"].mean(samples).max()) / (E * (allowed * signal) ** 2)
    shift = float(np.sqrt((theory["f_shift"] ** 2).mean(samples)).max()) / (allowed * signal)
    return max(1, math.ceil(max(noise, shift)))


@known_keywords
def best_split(
    theory: Solution,
    *,
    parameters: float | None = None,
    neurons: float | None = None,
    step: int | None = None,
    loss: str | None = None,
) -> Split:
    """The width and the number of networks with the lowest expected loss for a budget.

    A network has N^2 (L - 1) + N (D + C) weights, and N L biases where there are any. Widths below
    the one at which the expansion has a meaning (`valid_width` of the diagnostics) are left out.

    Args:
        theory: A solution with variances and shifts.
        parameters: Budget of weights and biases; give this or `neurons`.
        neurons: Budget of neurons in each layer, E N.
        step: The step that counts; the last saved one if `None`.
        loss: `"loss"`, `"test_loss"`, `"mse"` or `"test_mse"`; the test loss if `None` and there
            is one, else the training loss.

    Raises:
        InvalidProblem: If an argument is outside its range, the theory has no shifts, or the budget
            does not suffice for one network of valid width.

    Source: docs/theory/fluctuations.md, Ensembles and the choice of width.
    """
    theory = _complete(theory)
    if (parameters is None) == (neurons is None):
        raise refuse("parameters", parameters, "a budget, or `neurons` in its place", "give one")
    budget = optional(positive, "parameters", parameters)
    total = optional(positive, "neurons", neurons)
    known = tuple(n for n in ("test_loss", "loss", "test_mse", "mse") if n in theory)
    name = known[0] if loss is None else one_of("loss", loss, known)
    steps = theory["time"].values
    at = int(steps[-1]) if step is None else integer("step", step, 0)
    if at not in steps:
        raise refuse("step", step, f"a saved step, from {steps[0]} to {steps[-1]}")
    value, shift, noise = (float(theory[name + s].sel(time=at)) for s in ("", "_shift", "_noise"))
    quadratic, linear = _size_of(theory)
    least = max(1, int(theory.diagnostics["valid_width"]))
    best = None
    for E in range(1, _most(budget, total, quadratic, linear, least) + 1):
        N = _widest(budget, total, quadratic, linear, E)
        expected = value + (shift - noise + noise / E) / N
        if best is None or expected < best.loss:
            size = E * (quadratic * N**2 + linear * N)
            best = Split(N, E, expected, size, at_bound=least == N)
    if best is None:
        raise refuse(
            "parameters" if total is None else "neurons", parameters if total is None else neurons,
            f"enough for one network of width {least}, above which the expansion has a meaning",
        )  # fmt: skip
    return best


def _widest(
    budget: float | None, total: float | None, quadratic: int, linear: int, ensemble: int
) -> int:
    """The largest width of which so many networks are within the budget."""
    if budget is None:
        assert total is not None
        return int(total / ensemble)
    each = budget / ensemble
    if quadratic == 0:
        return int(each / linear)
    return int((math.sqrt(linear**2 + 4 * quadratic * each) - linear) / (2 * quadratic))


def _most(
    budget: float | None, total: float | None, quadratic: int, linear: int, least: int
) -> int:
    """How many networks of the least width are within the budget, up to a million."""
    if budget is None:
        assert total is not None
        return min(int(total / least), 10**6)
    return min(int(budget / (quadratic * least**2 + linear * least)), 10**6)


def _size_of(theory: Solution) -> tuple[int, int]:
    """Parameters of a network: coefficients of N^2 and of N."""
    evolution = theory.problem["evolution"]
    network, data = evolution["network"], evolution["data"]
    biases = network["depth"] if network.get("biases") else 0
    return network["depth"] - 1, data["dimension"] + data["outputs"] + biases


def _complete(theory: Solution) -> Solution:
    """A theory with variances and shifts."""
    instance("theory", theory, Solution, "give what orderparam.solve returned")
    if theory.family != "fluctuations" or theory.kind != "theory":
        raise refuse("theory", theory, "a theory of finite-width fluctuations", "solve one")
    if "f_nvar" not in theory or "f_shift" not in theory:
        raise refuse(
            "theory", theory, "one with variances and shifts", "solve with Influence(shift=True)"
        )
    return theory
