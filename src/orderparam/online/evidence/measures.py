"""What figures and claims read off results: escape times, frames, and the problem behind them."""

import numpy as np
from jaxtyping import Float

from orderparam.errors import InvalidProblem
from orderparam.online.analysis.selection import selected_solution
from orderparam.online.model.binned import BinnedOverlaps
from orderparam.online.model.input_spectrum import InputSpectrum
from orderparam.online.model.overlaps import Overlaps
from orderparam.online.problem import TeacherStudent
from orderparam.online.theory.isotropic import isotropic
from orderparam.results import Solution
from orderparam.results.pair import Pair


def rebuilt(solution: Solution) -> TeacherStudent:
    """The problem that a theory solved, with its start read from the results."""
    config = dict(solution.problem)
    start = config.pop("start")
    kappa = config.pop("kappa")
    config.pop("kind")
    spectrum = config.pop("spectrum")
    tail, kind = ("", Overlaps) if spectrum is None else ("_b", BinnedOverlaps)
    Q, M = (solution[f"{name}{tail}"].sel(time=0).values for name in ("Q", "M"))
    overlaps = kind(Q, M, solution[f"T{tail}"].values, start["dimension"])
    bins = None if spectrum is None else InputSpectrum(**spectrum)
    layers = {
        name: np.array(config.pop(name)) / scale
        for name, scale in zip(("second_layer", "teacher_second_layer"), kappa, strict=True)
    }
    return TeacherStudent(overlaps, normalisation="one", spectrum=bins, **layers, **config)


def states_at(solution: Solution) -> list[Overlaps]:
    """The overlaps at every saved time of a single trajectory."""
    T = solution["T"].values
    pairs = zip(solution["Q"].values, solution["M"].values, strict=True)
    return [Overlaps(Q, M, T) for Q, M in pairs]


def escape_times(pair: Pair, margin: float = 0.05) -> Float[np.ndarray, " run"]:
    """First times at which runs are `margin` below the plateau, interpolated; NaN without one.

    Counted from the first saved time within `margin` of the plateau, as in the theory.
    """
    if pair.experiment is None:
        raise InvalidProblem("Escape times of SGD need an experiment; add one to the study.")
    level = isotropic(rebuilt(pair.theory)).plateau_loss()
    times = pair.theory["time"].values
    runs = pair.runs("loss", pair.sizes[-1]).values.reshape(-1, len(times)) / level
    return np.array([_crossing(times, run, margin) for run in runs])


def _crossing(times: np.ndarray, height: np.ndarray, margin: float) -> float:
    """The escape time of one run, given its loss in units of the plateau's."""
    entered = np.flatnonzero(np.abs(height - 1) <= margin)
    if not entered.size:
        return np.nan
    below = np.flatnonzero(height[entered[0] :] < 1 - margin) + entered[0]
    if not below.size:
        return np.nan
    at = below[0]
    return float(np.interp(margin - 1, -height[at - 1 : at + 1], times[at - 1 : at + 1]))


def reached_and_predicted(
    pair: Pair, route: str = "polar"
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """M of the predicted solution, at the theory's end, and at the end of SGD (one run a start)."""
    predicted = selected_solution(rebuilt(pair.theory), route).overlaps.M
    theory = pair.theory["M"].isel(time=-1).values
    runs = None
    if pair.sizes:
        runs = pair.runs("M", pair.sizes[-1]).isel(time=-1, seed=0).values
    return predicted, theory, runs


def frame_overlap(
    predicted: Float[np.ndarray, "*draw student teacher"],
    reached: Float[np.ndarray, "*draw student teacher"],
) -> Float[np.ndarray, "*draw"]:
    """Cosine between two frames: tr(A^T B)/(|A| |B|), 1 where they agree."""
    inner = np.sum(predicted * reached, axis=(-1, -2))
    sizes = [np.sqrt(np.sum(part**2, axis=(-1, -2))) for part in (predicted, reached)]
    return np.asarray(inner / (sizes[0] * sizes[1]))
