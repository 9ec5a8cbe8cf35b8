"""Training of many finite networks, a group at a time, with what is measured kept as it comes."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int, Shaped

from orderparam.contract import SavePlan
from orderparam.kernels.experiment.networks import output_scale, rate_factors, weight_shapes
from orderparam.kernels.experiment.recorder import Members, Recorder, followed
from orderparam.kernels.experiment.training import (
    State,
    Task,
    advance,
    batch_losses,
    observe,
    start,
)
from orderparam.kernels.problem import KernelEvolution
from orderparam.support.progress import progress as progress_bar
from orderparam.support.settings import library_settings

_GROUP_BYTES = 2**31  # memory for networks trained at once on an accelerator
_BLOCK_WORK = 5e10  # floating point operations between two looks at a run: about a second
_BLOCK_STEPS = 5000  # at most so many steps, for networks too small to fill a second


def train_networks(
    problem: KernelEvolution,
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
    scope = library_settings(precision == "float64")
    with scope, progress_bar(total, "training networks", progress) as done:
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


def _task(problem: KernelEvolution, precision: str, width: int, parameterization: str) -> Task:
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
