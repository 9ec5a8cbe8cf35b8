"""Where perturbation theory starts, lazy training of sampled points, and what errors it has."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

from orderparam.kernels.methods.static import lazy_predictions
from orderparam.kernels.problem import KernelEvolution
from orderparam.kernels.theory.derived import derived
from orderparam.kernels.theory.diagnosis import relative_biases
from orderparam.kernels.theory.pack import Trajectory

Observed = Mapping[str, Float[np.ndarray, "time ..."]]


def sampled_start(
    problem: KernelEvolution, observed: Observed, grid: Int[np.ndarray, " time"]
) -> Observed:
    """Lazy training of the sampled points themselves: their kernels at step 0, frozen."""
    ntk, train = observed["ntk"][0], problem.data.count * problem.data.outputs
    f, loss = lazy_predictions(problem, ntk[:, :train], grid)
    frozen = {n: np.broadcast_to(observed[n][0], (len(grid), *observed[n].shape[1:]))
              for n in ("Phi", "G", "ntk")}  # fmt: skip
    return {"f": f, "loss": loss, **frozen}


def biases_of(
    problem: KernelEvolution,
    runs: Sequence[Trajectory],
    errors: Iterable[Observed],
    quadrature: float,
) -> Observed:
    """What errors of predictions and kernels do to every variable.

    Args:
        problem: What was solved.
        runs: The replicates.
        errors: Independent errors of what the replicates observed on the average.
        quadrature: Relative error of the kernels before training.
    """
    names = tuple(runs[0].observed)
    mean = {n: np.mean([run.observed[n] for run in runs], axis=0) for n in names}
    values = derived(problem, mean)
    biases = relative_biases(problem, mean, quadrature) or {
        n: np.zeros(v.shape) for n, v in values.items()
    }
    for left in errors:
        moved = derived(problem, {n: mean[n] + left[n] for n in names})
        biases = {n: np.hypot(b, moved[n] - values[n]) for n, b in biases.items()}
    return biases
