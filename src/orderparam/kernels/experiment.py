"""The experiment: ordinary finite networks, trained and measured like the theory's variables."""

import math
import operator
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int, Shaped

from orderparam.contract import SavePlan
from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.kernels._finite import (
    PARAMETERIZATIONS,
    output_scale,
    rate_factors,
    weight_shapes,
)
from orderparam.kernels._observables import label_coordinates, label_variables
from orderparam.kernels._recorder import Members, Recorder, followed
from orderparam.kernels._supported import require_few_fields
from orderparam.kernels._training import State, Task, advance, batch_losses, observe, start
from orderparam.kernels.cnn import CNN
from orderparam.progress import progress as progress_bar
from orderparam.results import Solution, Verdict, build_solution

_GROUP_BYTES = 2**31  # memory for networks trained at once on an accelerator
_BLOCK_WORK = 5e10  # floating point operations between two looks at a run: about a second
_BLOCK_STEPS = 5000  # at most so many steps, for networks too small to fill a second


def simulate_networks(
    problem: Any,
    widths: int | Sequence[int],
    seeds: int | Sequence[int],
    save: SavePlan | None = None,
    seed: int = 0,
    precision: str = "float32",
    progress: bool = True,
    parameterization: str = "mean_field",
) -> Solution:
    """Train finite networks by gradient descent and measure them.

    θ ← θ - η γ0² N ∇ mean_μ ℓ(f_μ, y_μ); what is measured at step t is before update t.

    Args:
        problem: A `KernelEvolution`.
        widths: Width N, or several.
        seeds: Number of runs per width, or one number for each width.
        save: What to keep; by default up to 201 steps.
        seed: Every network is drawn from (seed, width, index of the run) alone.
        precision: `"float32"` or `"float64"`; both start from the same weights.
        progress: Whether to show a progress bar on a terminal.
        parameterization: `"mean_field"` (muP): γ0 as in the problem, the theory's limit. `"ntk"`:
            γ0 = 1/√N, whose limit is the static kernel. `"standard"`: weights of variance 1/fan-in
            and one learning rate η/N; as NTK, with input weights that learn at D/N of the rate.

    Returns:
        The variables of the theory with leading dimensions `width` and `seed`; where fewer runs
        than the most were asked for, `run_valid` is false and the values are NaN.

    Raises:
        InvalidProblem: If an argument is outside its range.
        UnsupportedCombination: If two-time kernels or the standard parameterization are asked for
            of a convolutional network.
        CapacityExceeded: If what is to be kept does not fit in memory.
        Diverged: If a network leaves the finite numbers.

    Cost: 6 N² P (L-1) + 6 N D P operations a step and run, 3 N² (L-1) numbers of memory; with
    convolution times positions and offsets, resp. times offsets, and the tangent kernel needs the
    gradient of every sample at once.

    Source: Bordelon & Pehlevan (2022), section 2.
    """
    sizes = _counts("width", widths)
    runs = _counts("seeds", seeds)
    runs = runs * len(sizes) if len(runs) == 1 else runs
    _require_consistent(sizes, runs, seed, precision)
    if parameterization not in PARAMETERIZATIONS:
        raise InvalidProblem(
            f"Argument `parameterization` is {parameterization!r}; it must be one of "
            f"{', '.join(PARAMETERIZATIONS)}."
        )
    if parameterization == "standard" and isinstance(problem.network, CNN):
        raise UnsupportedCombination(
            "The parameterization 'standard' is not defined for convolutional networks; choose "
            "mean_field or ntk."
        )
    plan = SavePlan() if save is None else save
    require_few_fields(problem, plan)
    grid = plan.grid(problem.steps)
    began = time.perf_counter()
    arrays, device = train_networks(
        problem, sizes, runs, plan, seed, precision, progress, parameterization=parameterization
    )
    return build_solution(
        label_variables(arrays, problem),
        label_coordinates(arrays, problem, sizes, grid, plan.fields_at),
        family=problem.family,
        kind="experiment",
        problem=problem.config(),
        method={
            "name": "networks",
            "width": sizes,
            "seeds": runs,
            "precision": precision,
            "parameterization": parameterization,
        },
        seed=seed,
        verdict=Verdict.CONVERGED,
        message=f"{sum(runs)} networks trained for {int(grid[-1])} steps.",
        diagnostics={"parameters": [_parameters(problem, width) for width in sizes]},
        precision=precision,
        device=device,
        wall_time=time.perf_counter() - began,
        compile_time=None,
        sources=["bordelon2022"],
    )


def train_networks(
    problem: Any,
    widths: Sequence[int],
    counts: Sequence[int],
    save: SavePlan,
    seed: int,
    precision: str,
    progress: bool,
    group: int | None = None,
    block_work: float = _BLOCK_WORK,
    parameterization: str = "mean_field",
) -> tuple[dict[str, Shaped[np.ndarray, "..."]], str]:
    """Train the networks; the arrays measured (without the derived ones) and the device.

    `group` networks are trained at once (default: one on a CPU, where more are not faster), and
    control returns to Python every `block_work` operations. The last group is filled up with
    further runs, which are dropped, so that a run never depends on how many others are asked for.
    """
    grid = save.grid(problem.steps)
    recorder = Recorder(problem, widths, counts, grid, save, precision)
    total = int(grid[-1]) * sum(counts)
    scope = jax.enable_x64(precision == "float64"), jax.default_matmul_precision("highest")
    with scope[0], scope[1], progress_bar(total, "training networks", progress) as done:
        device = next(iter(jnp.zeros(()).devices()))
        for i, (width, count) in enumerate(zip(widths, counts, strict=True)):
            task = _task(problem, precision, width, parameterization)
            size = group or _group(task, width, device.platform)
            block = _block(task, width, size, block_work)
            for first in range(0, count, size):
                members = Members(i, width, first, min(size, count - first))
                state = start(task, width, seed, range(first, first + size))
                _train_group(state, task, recorder, members, grid, block, done)
    return recorder.arrays(), f"{device.platform}: {device.device_kind}"


def _train_group(
    state: State,
    task: Task,
    recorder: Recorder,
    members: Members,
    grid: Int[np.ndarray, " time"],
    block: int,
    done: Callable[..., None],
) -> None:
    """Train and measure one group of networks of one width."""
    origin = np.array(state.origin, np.float64)
    at = 0
    for k, step in enumerate(grid.tolist()):
        while at < step:
            stop = min(at + block, step)
            state = advance(state, task, np.int32(at), np.int32(stop))
            recorder.require_finite_loss(members, np.asarray(state.bad_step))
            done((stop - at) * members.count)
            at = stop
        loss = np.zeros(len(origin))
        if task.fresh is not None:
            loss = np.asarray(batch_losses(state, task, np.int32(step)), np.float64)
        recorder.keep(members, k, observe(state.weights, task), origin, loss)
    recorder.finish(members)


def _task(problem: Any, precision: str, width: int, parameterization: str) -> Task:
    data, batches, network = problem.data, problem.batches, problem.network
    real = partial(jnp.asarray, dtype=precision)
    indices = None if batches is None else batches.indices(data.count, problem.steps)
    factors = rate_factors(network, width, data.dimension, parameterization)
    return Task(
        x=real(followed(problem)),
        y=real(data.targets()),
        fresh=real(data.x) if problem.one_pass else None,
        indices=None if indices is None else jnp.asarray(indices, jnp.int32),
        scale=real(output_scale(problem.gamma0, width, parameterization)),
        rates=real(problem.rates()),
        decay=real(problem.weight_decay),
        momentum=real(problem.momentum),
        factors=jax.tree.map(real, factors),
        network=network,
        loss=problem.loss,
        heavy=problem.momentum > 0,
        centered=problem.centered,
    )


def _group(task: Task, width: int, platform: str) -> int:
    """How many networks to train at once; never depends on how many are asked for."""
    if platform == "cpu":
        return 1
    matrices = (
        3 * width**2 * task.network.depth * task.network.offsets
    )  # weights, gradients, room to work
    fields = 6 * width * task.network.depth * task.x.shape[0] * task.network.positions
    return int(np.clip(_GROUP_BYTES // ((matrices + fields) * task.x.dtype.itemsize), 1, 8))


def _block(task: Task, width: int, group: int, work: float) -> int:
    """How many steps to make between two looks at a run."""
    network = task.network
    shapes = weight_shapes(network, width, task.x.shape[1], task.y.shape[1])[: network.depth]
    entries = network.positions * sum(math.prod(shape) for shape in shapes)
    batch = task.y.shape[0] if task.indices is None else task.indices.shape[1]
    return int(np.clip(work / (6 * group * batch * entries), 1, _BLOCK_STEPS))


def _parameters(problem: Any, width: int) -> int:
    data = problem.data
    shapes = weight_shapes(problem.network, width, data.dimension, data.outputs)
    return sum(math.prod(shape) for shape in shapes)


def _counts(name: str, value: Any) -> list[int]:
    """One positive integer or several, as a list."""
    several = hasattr(value, "__len__") and not isinstance(value, str)
    entries: list[Any] = list(value) if several else [value]
    try:
        counts = [operator.index(entry) for entry in entries]
    except TypeError:
        counts = []
    if not counts or min(counts) < 1 or any(isinstance(entry, bool) for entry in entries):
        raise InvalidProblem(
            f"Argument `{name}` is {value!r}; it must be a positive integer or a list of them."
        )
    return counts


def _require_consistent(
    widths: Sequence[int], counts: Sequence[int], seed: int, precision: str
) -> None:
    if len(set(widths)) != len(widths):
        raise InvalidProblem(
            f"Argument `width` names a width twice: {widths}; name each once and ask for more "
            "`seeds` instead."
        )
    if len(counts) != len(widths):
        raise InvalidProblem(
            f"Argument `seeds` has {len(counts)} entries for {len(widths)} widths; give one "
            "number, or one for each width."
        )
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InvalidProblem(f"Argument `seed` is {seed!r}; it must be an integer of at least 0.")
    if precision not in ("float32", "float64"):
        raise InvalidProblem(
            f"Argument `precision` is {precision!r}; it must be 'float32' or 'float64'."
        )
