"""The alternating method: guess all kernels, sample the fields, recompute the kernels, repeat."""

import time
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from orderparam.contract import Estimate, SavePlan
from orderparam.errors import CapacityExceeded, Diverged, InvalidProblem
from orderparam.kernels._alternating import CHUNK, Order, Round, advance
from orderparam.kernels._supported import refuse, require_equal_times, require_plain
from orderparam.kernels.flow import KernelMethod
from orderparam.kernels.initial import initial_kernels
from orderparam.kernels.pack import Trajectory, pack_theory
from orderparam.kernels.problem import KernelEvolution
from orderparam.kernels.tangent import tangent_kernel
from orderparam.progress import progress as progress_bar
from orderparam.results import Solution, Verdict

LARGEST = 600
"""Events (samples times steps) up to which two-time kernels are formed."""


class Alternating(KernelMethod):
    """The self-consistent equations solved as in their paper, by alternating sampling.

    All two-time kernels and responses are guessed (frozen at initialisation), Gaussian fields are
    drawn for all times at once, the single-site equations are solved, kernels and responses are
    recomputed, and so on until they agree. Responses are averages of the Jacobians of single draws,
    so that the activation must be smooth. The same draws are used in every round: the round is a
    deterministic map and its residual measures convergence; standard errors come from `replicates`
    independent sets of draws.

    A second route to what the causal method computes, for checks: cost grows with the cube of
    samples times steps.

    Args:
        samples: Draws S of the fields, a multiple of 64.
        replicates: Independent sets of draws R >= 2.
        tolerance: Largest change of a kernel in the last round, relative to its largest entry.
        damping: Part of the old values that is kept in each round, from 0 to below 1. Rounds are
            causal (each is right one step further), so that none is needed unless early rounds
            overflow.
        rounds: Most rounds.
        response: Keep the response terms.

    Cost: O(L S (P T)^3) time per round, O(L P T (S + P T)) memory.

    Source: Bordelon & Pehlevan (2022), alternating sampling algorithm.
    """

    name: ClassVar[str] = "alternating"

    samples: int = eqx.field(static=True)
    replicates: int = eqx.field(static=True)
    tolerance: float = eqx.field(static=True)
    damping: float = eqx.field(static=True)
    rounds: int = eqx.field(static=True)
    response: bool = eqx.field(static=True)

    def __init__(
        self,
        samples: int = 2048,
        replicates: int = 4,
        tolerance: float = 1e-4,
        damping: float = 0.0,
        rounds: int = 100,
        response: bool = True,
    ) -> None:
        for name, value, least in (
            ("samples", samples, CHUNK), ("replicates", replicates, 2), ("rounds", rounds, 1),
        ):  # fmt: skip
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InvalidProblem(
                    f"Argument `{name}` must be an integer of at least {least}, but is {value!r}."
                )
        if samples % CHUNK:
            raise InvalidProblem(
                f"Argument `samples` must be a multiple of {CHUNK}, but is {samples}; choose one."
            )
        if not (0 < tolerance < 1 and 0 <= damping < 1):
            raise InvalidProblem(
                f"Arguments `tolerance` and `damping` must lie in (0, 1) and [0, 1), but are "
                f"{tolerance} and {damping}; 1e-4 and 0 are usual."
            )
        self.samples, self.replicates, self.rounds = samples, replicates, rounds
        self.tolerance, self.damping, self.response = float(tolerance), float(damping), response

    def config(self) -> Mapping[str, Any]:
        """The settings as plain JSON values."""
        names = ("samples", "replicates", "tolerance", "damping", "rounds", "response")
        return {"name": self.name, **{n: getattr(self, n) for n in names}}

    def cost(self, problem: KernelEvolution, save: SavePlan) -> Estimate:
        """Memory of fields and two-time kernels, and time of some thirty rounds."""
        events, L = _events(problem), problem.network.depth
        arrays = events * (L * (10 * self.samples + 20 * events) + 6 * CHUNK * events)
        work = self.samples * events**2 * (4.0 * L + 12.0 * (L - 1) * events)
        return Estimate(2**28 + 8 * arrays, 20 * self.replicates * work / 4e9)

    def descend(
        self, problem: KernelEvolution, save: SavePlan, seed: int, progress: bool
    ) -> Solution:
        """Iterate every replicate to convergence."""
        self._require(problem, save)
        start = time.perf_counter()
        first = _static(problem)
        with progress_bar(self.replicates, "alternating", progress) as done:
            ends = []
            for replicate in range(self.replicates):
                ends.append(self._iterated(problem, first, (seed, replicate)))
                done(1)
        spent = time.perf_counter() - start
        runs = [Trajectory(_observed(problem, order, save), spent / len(ends)) for order, _ in ends]
        worst = max(history[-1] for _, history in ends)
        ok = worst <= self.tolerance
        return pack_theory(
            problem,
            save,
            runs,
            method=self.config(),
            seed=seed,
            verdict=Verdict.CONVERGED if ok else Verdict.NOT_CONVERGED,
            message=f"The last round changed the kernels by at most {worst:.1e} of their size.",
            diagnostics={
                "replicates": self.replicates,
                "rounds": [len(history) for _, history in ends],
                "residuals": [history for _, history in ends],
                "notes": [],
            },
        )

    def _require(self, problem: KernelEvolution, save: SavePlan) -> None:
        """Refuse what the scheme does not follow, and too many or too few draws for it."""
        require_plain(self.name, problem)
        require_equal_times(self.name, save)
        refuse(
            self.name,
            {"activations with kinks": not problem.network.activation.smooth},
            "smooth activations, whose Jacobians give the responses",
        )
        if _events(problem) > LARGEST:
            raise CapacityExceeded(
                f"The method alternating keeps kernels over samples times steps, "
                f"{_events(problem)} here, up to {LARGEST}; use the method causal, or fewer steps."
            )
        if 2 * _events(problem) > self.samples:
            raise CapacityExceeded(
                f"The method alternating needs twice as many draws as samples times steps, "
                f"{_events(problem)} here; raise `samples` to {2 * _events(problem)} or more."
            )

    def _iterated(
        self, problem: KernelEvolution, order: Order, seed: tuple[int, int]
    ) -> tuple[Order, list[float]]:
        """Order parameters of one replicate, and the change in each round."""
        given, history = _round(problem, self.samples, seed, self.response), []
        while not history or (history[-1] > self.tolerance and len(history) < self.rounds):
            new = advance(given, order)
            if self.damping:
                new = jax.tree.map(
                    lambda a, b: (1 - self.damping) * a + self.damping * b, new, order
                )
            change = max(_change(a, b) for a, b in zip(new, order, strict=True))
            if not np.isfinite(change):
                raise Diverged(
                    f"The alternating iteration left the finite numbers in round {len(history)}; "
                    "raise `damping`, or lower gamma0, the learning rate or the number of steps."
                )
            order = new
            history.append(change)
        return order, history


def _events(problem: KernelEvolution) -> int:
    return (problem.data.count + problem.data.test_count) * problem.steps


def _round(problem: KernelEvolution, samples: int, seed: tuple[int, int], response: bool) -> Round:
    """Constants of the iteration of one replicate."""
    L, events = problem.network.depth, _events(problem)
    draws = np.random.default_rng(seed).standard_normal((2, L, samples, events))
    draws = np.stack([np.stack(pair) for pair in zip(*map(_whitened, *draws), strict=True)])
    return Round(
        gram=jnp.asarray(problem.data.gram()),
        y=jnp.asarray(problem.data.y),
        rates=jnp.asarray(problem.rates()),
        gamma0=jnp.asarray(np.asarray(problem.gamma0)),
        variance=jnp.asarray(np.square(problem.network.weight_std)),
        draws=jnp.asarray(draws),
        activation=problem.network.activation,
        response=response,
    )


def _whitened(
    u: Float[np.ndarray, "S event"], r: Float[np.ndarray, "S event"]
) -> tuple[Float[np.ndarray, "S event"], Float[np.ndarray, "S event"]]:
    """Draws of one layer with mean 0 and covariance 1 to rounding, which lowers all noise."""
    joint = np.concatenate([u, r], axis=1)
    joint = joint - joint.mean(axis=0)
    q, triangle = np.linalg.qr(joint)
    joint = q * np.sign(np.diagonal(triangle)) * np.sqrt(len(joint))
    return joint[:, : u.shape[1]], joint[:, u.shape[1] :]


def _static(problem: KernelEvolution) -> Order:
    """The first guess: kernels of initialisation, predictions of lazy training, no responses."""
    T, gram = problem.steps, problem.data.gram()
    Phi, G, tangent = initial_kernels(problem.network, gram)
    f = np.zeros((T, len(gram)))
    P = problem.data.count
    for t in range(T - 1):
        delta = problem.data.y - f[t, :P]
        f[t + 1] = f[t] + problem.rates()[t] / P * tangent[:, :P] @ delta
    zero = np.zeros((len(Phi), _events(problem), _events(problem)))
    parts = (np.tile(Phi, (1, T, T)), np.tile(G, (1, T, T)), zero, zero, f)
    return Order(*map(jnp.asarray, parts))


def _observed(
    problem: KernelEvolution, order: Order, save: SavePlan
) -> dict[str, Float[np.ndarray, "..."]]:
    """Equal-time quantities at the saved steps."""
    gram, grid = problem.data.gram(), save.grid(problem.steps)
    P, T, L = len(gram), problem.steps, problem.network.depth

    def equal(kernel: Array) -> np.ndarray:
        blocks = np.asarray(kernel).reshape(L, T, P, T, P)
        return np.stack([blocks[:, t, :, t] for t in grid])

    Phi, G = equal(order.Phi), equal(order.G)
    ntk = tangent_kernel(problem.network, gram, Phi, G)
    return {"f": np.asarray(order.f)[grid][..., None], "Phi": Phi, "G": G, "ntk": ntk}


def _change(new: Array, old: Array) -> float:
    """Largest difference relative to the largest entry; zero where both vanish."""
    size = float(jnp.abs(new).max())
    return float(jnp.abs(new - old).max()) / size if size else float(jnp.abs(old).max())
