"""What is kept of networks while they are trained, and the check that it is finite."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from orderparam.contract import SavePlan
from orderparam.errors import Diverged
from orderparam.kernels.experiment.training import Observation, is_pooled
from orderparam.kernels.problem import KernelEvolution
from orderparam.support.memory import require_memory


@dataclass(frozen=True)
class Members:
    """Which runs a group holds: `count` from run `first`, at entry `row` of the widths."""

    row: int
    width: int
    first: int
    count: int

    @property
    def slot(self) -> tuple[int, slice]:
        """Place in arrays with leading axes (width, seed)."""
        return self.row, slice(self.first, self.first + self.count)


class Recorder:
    """Arrays of all runs, NaN where there is no run.

    Predictions and equal-time kernels are stored in double precision; two-time kernels and
    fields, which can be large, in the precision of the run.

    Raises:
        CapacityExceeded: If the arrays need more than the machine's memory.
    """

    def __init__(
        self,
        problem: KernelEvolution,
        widths: Sequence[int],
        counts: Sequence[int],
        grid: Int[np.ndarray, " time"],
        save: SavePlan,
        precision: str,
    ):
        T, L = grid.size, problem.network.depth
        S, C = len(followed(problem)), problem.data.outputs
        W, R = len(widths), max(counts)
        self._save, self._grid = save, grid
        self._learning_rate = problem.learning_rate
        self._widest = int(np.argmax(widths))
        shapes = {"f": (W, R, T, S, C), "Phi": (W, R, T, L, S, S)}
        shapes |= {"G": (W, R, T, L, S * C, S * C), "loss": (W, R, T)}
        A = problem.network.positions
        self._positions, self._pooled = A, is_pooled(problem.network)
        if A > 1:
            shapes["ntk"] = (W, R, T, S * C, S * C)
        kinds = dict.fromkeys(shapes, "float64")
        if save.two_time:
            shapes["Phi_two"] = (W, R, L, T, T, S, S)
            shapes["G_two"] = (W, R, L, T, T, S * C, S * C)
        if save.fields_at:
            neurons = widths[self._widest] * counts[self._widest]
            times = len(set(save.fields_at))
            shapes |= {"h": (times, L, S * A, neurons), "z": (times, L, S * C * A, neurons)}
        _require_memory(shapes, kinds, precision)
        self._arrays = {
            name: np.full(shape, np.nan, kinds.get(name, precision))
            for name, shape in shapes.items()
        }
        self._valid = np.arange(R) < np.asarray(counts)[:, None]
        self._pending: list[tuple[np.ndarray, np.ndarray]] = []

    def arrays(self) -> dict[str, Shaped[np.ndarray, "..."]]:
        """Everything kept, with `run_valid`."""
        return {**self._arrays, "run_valid": self._valid}

    def require_finite_loss(self, members: Members, bad_step: Int[np.ndarray, " run"]) -> None:
        """Raise `Diverged` when a run of the group met a non-finite loss."""
        bad_step = bad_step[: members.count]
        met = np.flatnonzero(bad_step >= 0)
        if met.size:
            run = met[np.argmin(bad_step[met])]
            self._raise_diverged("loss", members, run, bad_step[run])

    def keep(
        self,
        members: Members,
        k: int,
        observed: Observation,
        origin: Float[np.ndarray, "run sample output"],
        loss: Float[np.ndarray, " run"],
    ) -> None:
        """Store what a group shows at entry `k` of the grid."""
        wanted = slice(members.count)
        values = {"f": np.asarray(observed.f, np.float64) - origin}
        values |= {"Phi": np.asarray(observed.Phi), "G": np.asarray(observed.G), "loss": loss}
        if observed.ntk is not None:
            values["ntk"] = np.asarray(observed.ntk)
        for name, value in values.items():
            finite = np.isfinite(value[wanted]).all(axis=tuple(range(1, value.ndim)))
            if not finite.all():
                self._raise_diverged(name, members, np.argmin(finite), self._grid[k])
            self._arrays[name][members.slot][:, k] = value[wanted]
        if self._save.two_time:
            self._pending.append((np.array(observed.phi[wanted]), np.array(observed.g[wanted])))
        if members.row == self._widest and self._grid[k] in self._save.fields_at:
            self._keep_fields(members, k, observed)

    def finish(self, members: Members) -> None:
        """Form the two-time kernels of a group from its fields at all saved times."""
        if not self._save.two_time:
            return
        for name, fields in zip(
            ("Phi_two", "G_two"), zip(*self._pending, strict=True), strict=True
        ):
            per_run = np.stack([self._seen(field) for field in fields], axis=2)
            runs, layers, times, samples, entries = per_run.shape
            flat = per_run.reshape(runs, layers, times * samples, entries)
            kernel = flat @ flat.swapaxes(-1, -2) / members.width
            if name == "Phi_two":
                kernel /= self._positions ** (2 if self._pooled else 1)
            kernel = kernel.reshape(runs, layers, times, samples, times, samples)
            self._arrays[name][members.slot] = kernel.swapaxes(3, 4)
        self._pending.clear()

    def _seen(
        self, field: Float[np.ndarray, "run layer row neuron"]
    ) -> Float[np.ndarray, "run layer sample entry"]:
        """What a readout sees of a sample: the sum over positions, or every position's neurons."""
        runs, layers, _, width = field.shape
        places = field.reshape(runs, layers, -1, self._positions, width)
        return (
            places.sum(axis=3)
            if self._pooled
            else places.reshape(runs, layers, -1, width * self._positions)
        )

    def _keep_fields(self, members: Members, k: int, observed: Observation) -> None:
        place = sorted(set(self._save.fields_at)).index(self._grid[k])
        neurons = slice(
            members.first * members.width, (members.first + members.count) * members.width
        )
        for name, field in (("h", observed.h), ("z", observed.z)):
            value = np.asarray(field)[: members.count]
            pooled = np.moveaxis(value, 0, 2).reshape(*value.shape[1:3], -1)
            self._arrays[name][place, :, :, neurons] = pooled

    def _raise_diverged(self, quantity: str, members: Members, run: Any, step: Any) -> None:
        raise Diverged(
            f"The network of width {members.width} (run {members.first + int(run)}) has a "
            f"non-finite {quantity} at step {int(step)}; the learning_rate, "
            f"{self._learning_rate}, is probably too large. Gradient descent is stable below "
            "2/λ_max(K/P); try a smaller learning_rate."
        )


def followed(problem: KernelEvolution) -> Float[np.ndarray, "sample dimension"]:
    """The inputs whose predictions are followed: train (unless used once), then test samples."""
    train = problem.data.x[: 0 if problem.one_pass else None]
    return np.concatenate([train, problem.data.x_test])


def _require_memory(
    shapes: dict[str, tuple[int, ...]], kinds: dict[str, str], precision: str
) -> None:
    """Refuse arrays that cannot fit, where the system says how much memory it has."""
    needed = sum(
        int(np.prod(shape, dtype=object)) * np.dtype(kinds.get(name, precision)).itemsize
        for name, shape in shapes.items()
    )
    require_memory(
        needed,
        "The variables to keep",
        "save fewer steps, leave out two-time kernels or fields, or ask for fewer runs",
    )
