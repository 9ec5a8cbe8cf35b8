"""The experiment: ensembles of ordinary finite networks, and how they scatter."""

import json
import math
import time
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from orderparam.contract import SavePlan
from orderparam.fluctuations.experiment.control import control_variates, require_control
from orderparam.fluctuations.experiment.scatter import scaled_deviations
from orderparam.fluctuations.glossary import QUANTITIES, coordinates, variable
from orderparam.fluctuations.problem import FiniteWidth
from orderparam.kernels import simulate_networks
from orderparam.results import Coordinate, Solution, Variable, build_solution
from orderparam.support.arguments import instance, refuse, sizes_and_runs, truth
from orderparam.support.memory import require_memory

GROUP_NUMBERS = 2**22
"""Weights, gradients and fields of all networks that are trained at once."""

RUNS = ("width", "seed")


def simulate(
    problem: FiniteWidth,
    widths: int | Sequence[int],
    seeds: int | Sequence[int],
    save: SavePlan,
    seed: int,
    *,
    precision: str = "float32",
    progress: bool = True,
    limit: Solution | None = None,
    control: bool = False,
) -> Solution:
    """Train ensembles of networks of each width, and measure how they scatter.

    Each network has the quantities of kernel evolution under their names, and besides
    `NAME_nvar = N (o - mean)^2 E/(E - 1)`, with the mean over the E networks of its width: its mean
    over `seed` is N times the variance without bias, and its scatter over `seed` is the standard
    error of that, heavy tails included. With a `limit`, `NAME_shift = N (o - limit)`; with
    `control`, `NAME_shift = N (o - limit) - sum_i psi(zeta_i)` with the influences of the initial
    neurons, whose mean is zero: the scatter over networks no longer grows with N.

    Args:
        problem: A `FiniteWidth`.
        widths: Width N, or several.
        seeds: Number of networks of each width, at least 2, or one number for each width.
        save: What to keep; by default up to 201 steps.
        seed: Every network is drawn from (seed, width, index of the run) alone.
        precision: `"float32"` or `"float64"`; shifts of wide networks need the second.
        progress: Whether to show a progress bar on a terminal.
        limit: A solution of the same problem by `solve`, from which shifts are measured. Its own
            error counts N-fold there.
        control: Whether to measure shifts with the control variate, for networks with one hidden
            layer and a smooth activation, in place of a `limit`.

    Returns:
        The variables of the theory with leading dimensions `width` and `seed`.

    Raises:
        InvalidProblem: If an argument is outside its range, or `limit` is of another problem.
        UnsupportedCombination: If influences at given neurons are not known for the problem.
        CapacityExceeded: If what is to be kept does not fit in memory.
        Diverged: If a network leaves the finite numbers.

    Cost: that of training the networks; memory of all quantities of all networks, twice or thrice.

    Source: docs/theory/fluctuations.md, Comparison with ensembles, Control variate.
    """
    began = time.perf_counter()
    sizes, runs = sizes_and_runs("width", widths, seeds)
    if min(runs) < 2:
        raise refuse("seeds", seeds, "at least 2 networks of each width", "a spread needs several")
    if truth("control", control):
        if limit is not None:
            raise refuse("control", control, "false where a `limit` is given", "give one of them")
        require_control(problem, save)
    known, sums = _limits(problem, limit, save), {}
    evolution = problem.evolution
    _require_room(problem, len(sizes) * max(runs), save, 4 if control else 3 if known else 2)
    networks = simulate_networks(
        evolution, sizes, runs, save, seed, precision=precision, progress=progress,
        group=_group(problem, max(sizes), max(runs)),
    )  # fmt: skip
    if control:
        known, sums = control_variates(problem, save.grid(evolution.steps), sizes, runs, seed)
    valid = networks["run_valid"].values
    variables: dict[str, Variable] = {}
    for quantity in (name for name in QUANTITIES if name in networks):
        values = np.asarray(networks[quantity].values, np.float64)
        found = scaled_deviations(
            values, valid, np.asarray(sizes), known.get(quantity), sums.get(quantity, 0.0)
        )
        for suffix, array in found.items():
            variables[quantity + suffix] = variable(problem, quantity, suffix, array, leading=RUNS)
    variables["run_valid"] = Variable(RUNS, valid, "whether the run was made")
    coords = coordinates(problem, save.grid(evolution.steps))
    coords["width"] = Coordinate(("width",), np.asarray(sizes), "width N of the networks")
    coords["seed"] = Coordinate(("seed",), np.arange(max(runs)), "index of the run")
    attributes = networks.dataset.attrs
    return build_solution(
        variables,
        coords,
        family=problem.family,
        kind="experiment",
        problem=problem.config(),
        method=networks.method | {"control": control},
        seed=seed,
        verdict=networks.verdict,
        message=networks.message,
        diagnostics=json.loads(attributes["diagnostics"]),
        precision=precision,
        device=attributes["device"],
        wall_time=time.perf_counter() - began,
        compile_time=None,
        sources=["bordelon2023"],
    )


def _group(problem: FiniteWidth, width: int, runs: int) -> int:
    """Networks that are trained at once: narrow ones by the hundred, as their steps are short."""
    evolution, network = problem.evolution, problem.evolution.network
    data = evolution.data
    inside = 3 * network.offsets * width**2 * (network.depth - 1)
    fields = 6 * network.depth * (data.count + data.test_count) * network.positions
    entries = inside + width * (3 * (data.dimension + data.outputs) + fields)
    asked = 2 ** math.ceil(math.log2(runs))
    return int(np.clip(GROUP_NUMBERS // entries, 1, min(asked, 128)))


def _limits(
    problem: FiniteWidth, limit: Solution | None, save: SavePlan
) -> dict[str, Float[np.ndarray, "..."]]:
    """The limits of the quantities, if they are those of this problem at these times."""
    if limit is None:
        return {}
    instance("limit", limit, Solution, "give what orderparam.solve returned")
    grid = save.grid(problem.evolution.steps)
    same = limit.kind == "theory" and limit.problem == json.loads(json.dumps(problem.config()))
    if not same or not np.array_equal(limit["time"].values, grid):
        raise refuse("limit", limit, "a solution of this problem at the same steps", "solve it")
    return {name: limit[name].values for name in QUANTITIES if name in limit}


def _require_room(problem: FiniteWidth, runs: int, save: SavePlan, copies: int) -> None:
    """Refuse more than the machine holds, before any training."""
    evolution = problem.evolution
    data, grid = evolution.data, save.grid(evolution.steps)
    seen = data.test_count + (0 if evolution.one_pass else data.count)
    kernels = evolution.network.depth * seen**2 * (1 + data.outputs**2)
    kernels += (seen * data.outputs) ** 2
    require_memory(
        8 * runs * len(grid) * kernels * (copies + 2),
        "The kernels of all networks",
        "save fewer steps, or ask for fewer runs",
    )
