"""The lazy limit: kernels frozen at initialisation, predictions by linear dynamics."""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from orderparam.contract import Estimate, SavePlan
from orderparam.errors import Diverged
from orderparam.kernels.model.losses import loss_named
from orderparam.kernels.problem import KernelEvolution
from orderparam.kernels.theory.diagnosis import ROUNDING, relative_biases
from orderparam.kernels.theory.flow import KernelMethod
from orderparam.kernels.theory.initial import InitialKernels, kernels_at_start
from orderparam.kernels.theory.pack import Trajectory, pack_theory
from orderparam.kernels.theory.supported import refuse, require_equal_times
from orderparam.results import Solution, Verdict
from orderparam.support.arguments import positive


class StaticNTK(KernelMethod):
    """Lazy training: the theory at gamma0 -> 0, where no feature moves.

    f_mu(t+1) = f_mu(t) + (eta/P) sum_nu K_{mu nu}(0) Delta_nu(t)

    with the tangent kernel of the infinitely wide network at initialisation, by quadrature. The
    problem's gamma0 does not enter; at gamma0 > 0 this is an approximation that misses the
    learning of features.

    Args:
        accuracy: Error asked for, of the averages behind the kernels relative to their size. They
            are right to rounding but for activations with kinks or steps away from 0.

    Cost: O(P^2) time per step; O(P^2) memory and O(L P^2) time at the start.

    Source: Jacot et al. (2018); Bordelon & Pehlevan (2022), section 3 (lazy limit);
    docs/theory/kernels.md, Static kernels.
    """

    name: ClassVar[str] = "static-ntk"
    compilation: ClassVar[tuple[float, float]] = (0.8, 0.0)

    accuracy: float = eqx.field(static=True)

    def __init__(self, accuracy: float = 0.01) -> None:
        self.accuracy = positive("accuracy", accuracy, "0.01 is usual")

    def config(self) -> Mapping[str, Any]:
        """The settings as plain JSON values."""
        return {"name": self.name, "accuracy": self.accuracy}

    def cost(self, problem: KernelEvolution, save: SavePlan) -> Estimate:
        """Memory of the saved kernels, and time of the steps and quadratures."""
        samples, depth = problem.data.count + problem.data.test_count, problem.network.depth
        kept = len(save.grid(problem.steps)) * (2 * depth + 2) * samples**2
        work = samples**2 * (2.0 * problem.steps + 1e3 * depth)
        return Estimate(2**26 + 16 * kept, work / 1e9)

    def descend(
        self, problem: KernelEvolution, save: SavePlan, seed: int, progress: bool
    ) -> Solution:
        """Compute the kernels once and follow the predictions."""
        require_equal_times(self.name, save)
        refuse(
            self.name,
            {"weight decay": problem.weight_decay > 0},
            "every network, loss and order of batches, with momentum but without weight decay",
        )
        kernels = kernels_at_start(problem)
        run = static_trajectory(problem, save, kernels)
        exact = kernels.error <= self.accuracy
        message = "Kernels frozen at initialisation: the limit gamma0 -> 0."
        if kernels.error > ROUNDING:
            message += f" Their averages are accurate to {kernels.error:.1e} of their size."
        if not exact:
            message += (
                f" That is above `accuracy` = {self.accuracy:g}: the activation has kinks or steps "
                "away from 0, or oscillates, on the scale of its arguments; scale the inputs down."
            )
        return pack_theory(
            problem,
            save,
            [run],
            method=self.config(),
            seed=seed,
            verdict=Verdict.CONVERGED if exact else Verdict.ERROR_TOO_LARGE,
            message=message,
            diagnostics={"quadrature_error": kernels.error, "notes": []},
            biases=relative_biases(problem, run.observed, kernels.error),
        )


def static_trajectory(
    problem: KernelEvolution, save: SavePlan, kernels: InitialKernels
) -> Trajectory:
    """Frozen kernels and the predictions that follow them, for a problem that allows it."""
    start, grid = time.perf_counter(), save.grid(problem.steps)
    Phi, G, tangent = kernels.Phi, kernels.G, kernels.ntk
    observed = _frozen(problem, Phi, G, tangent, len(grid))
    f, loss = lazy_predictions(problem, tangent[:, : problem.data.count], grid)
    first = problem.data.count if problem.one_pass else 0
    observed |= {"f": f[:, first:], "loss": loss}
    return Trajectory(observed, time.perf_counter() - start)


def _frozen(
    problem: KernelEvolution,
    Phi: Float[np.ndarray, "layer sample sample"],
    G: Float[np.ndarray, "layer sample sample"],
    tangent: Float[np.ndarray, "sample sample"],
    times: int,
) -> dict[str, Float[np.ndarray, "..."]]:
    """Kernels of the followed samples at every saved time; outputs do not mix."""
    first = problem.data.count if problem.one_pass else 0
    eye = np.eye(problem.data.outputs)
    shown = {"Phi": Phi[:, first:, first:]}
    shown["G"] = np.stack([np.kron(g, eye) for g in G[:, first:, first:]])
    shown["ntk"] = np.kron(tangent[first:, first:], eye)
    return {name: np.broadcast_to(a, (times, *a.shape)).copy() for name, a in shown.items()}


def lazy_predictions(
    problem: KernelEvolution,
    tangent: Float[np.ndarray, "row column"],
    grid: Int[np.ndarray, " time"],
) -> tuple[Float[np.ndarray, "time sample output"], Float[np.ndarray, " time"]]:
    """Predictions at the saved steps under a frozen kernel, and the loss that each step sees.

    Args:
        problem: What is trained.
        tangent: The kernel of all with training samples; of samples times outputs, outputs fastest,
            if outputs do not share one.
        grid: Saved steps.

    Raises:
        Diverged: If predictions overflow.
    """
    data, batches = problem.data, problem.batches
    indices = None if batches is None else jnp.asarray(batches.indices(data.count, problem.steps))
    kernel, y = jnp.asarray(tangent), jnp.asarray(data.targets())
    rates, momentum = jnp.asarray(problem.rates()), jnp.asarray(np.asarray(problem.momentum))
    bounds = jnp.asarray(np.stack([np.concatenate([[0], grid[:-1]]), grid], axis=1))
    found = _descend(kernel, y, rates, momentum, indices, bounds, problem.loss)
    f, losses = (np.asarray(array) for array in found)
    if not np.isfinite(f).all():
        step = int(grid[np.argmin(np.isfinite(f).all(axis=(1, 2)))])
        raise Diverged(f"`f` is not finite at step {step}; lower the learning rate.")
    return f, losses


@partial(jax.jit, static_argnames="loss")
def _descend(
    kernel: Float[Array, "row column"],
    y: Float[Array, "train output"],
    rates: Float[Array, " step"],
    momentum: Float[Array, ""],
    indices: Int[Array, "step batch"] | None,
    bounds: Int[Array, "time 2"],
    loss: str,
) -> tuple[Float[Array, "time sample output"], Float[Array, " time"]]:
    train, named = y.shape[0], loss_named(loss)

    def weights(t: Array) -> Array:
        if indices is None:
            return jnp.full(train, 1 / train)
        return jnp.zeros(train).at[indices[t]].add(1 / indices.shape[1])

    def step(t: Array, fv: tuple[Array, Array]) -> tuple[Array, Array]:
        f, v = fv
        signal = weights(t)[:, None] * named.signal(f[:train], y)
        # Rows are samples where all outputs share a kernel, else samples times outputs.
        push = kernel @ signal if kernel.shape[1] == train else kernel @ signal.ravel()
        v = momentum * v + push.reshape(f.shape)
        return f + rates[t] * v, v

    def observe(fv: Any, bound: Array) -> Any:
        fv = lax.fori_loop(bound[0], bound[1], step, fv)
        return fv, (fv[0], weights(bound[1]) @ named.value(fv[0][:train], y))

    rows = kernel.shape[0] * train // kernel.shape[1]
    zero = jnp.zeros((rows, y.shape[1]))
    return lax.scan(observe, (zero, zero), bounds)[1]
