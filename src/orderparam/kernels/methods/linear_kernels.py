"""Deep linear networks by closed matrix equations: a route of its own to the exact method.

With H^l and G^l the P T x P T kernels of h^l and g^l, responses A^l and B^l, and the strictly
causal matrices C and D of what training adds,

    h^l = u^l + M^l g^l,   M^l = A^{l-1} + C^l,   u^l ~ N(0, sigma^2 H^{l-1})
    g^l = r^l + N^l h^l,   N^l = B^l + D^l,       r^l ~ N(0, sigma^2 G^{l+1})

are solved by h = (1 - M N)^{-1} (u + M r) and g = (1 - N M)^{-1} (r + N u), so that all kernels
and responses are explicit functions of each other.

Source: Bordelon & Pehlevan (2022), deep linear networks; docs/theory/kernels.md, Closed
equations of linear networks.
"""

import time
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import numpy as np
from jaxtyping import Float

from orderparam.contract import Estimate, SavePlan
from orderparam.errors import CapacityExceeded
from orderparam.kernels.problem import KernelEvolution
from orderparam.kernels.theory.flow import KernelMethod
from orderparam.kernels.theory.pack import Trajectory, pack_theory
from orderparam.kernels.theory.supported import refuse, require_equal_times, require_plain
from orderparam.kernels.theory.tangent import tangent_kernel
from orderparam.results import Solution, Verdict
from orderparam.support.arguments import probability

Matrix = Float[np.ndarray, "event event"]
MOST_ROUNDS = 200
LARGEST = 4000
"""Events (samples times steps) up to which the dense matrices are formed."""


class LinearKernels(KernelMethod):
    """Closed matrix equations for the kernels of deep linear networks, iterated to their solution.

    Everything is causal, so the equations are solved for a window of steps that grows by one: what
    is earlier does not change any more, and no damping is needed.

    Args:
        tolerance: Largest relative change of a kernel in the last round of a window, positive.

    Cost: O(L (P T)^3) time per round, some 2 L rounds for each step; O(L (P T)^2) memory. For
    checks: the method exact-linear is linear in T.
    """

    name: ClassVar[str] = "linear-kernels"
    compilation: ClassVar[tuple[float, float]] = (0.2, 0.0)

    tolerance: float = eqx.field(static=True)

    def __init__(self, tolerance: float = 1e-12) -> None:
        self.tolerance = probability("tolerance", tolerance, "1e-12 is usual")

    def config(self) -> Mapping[str, Any]:
        """The settings as plain JSON values."""
        return {"name": self.name, "tolerance": self.tolerance}

    def cost(self, problem: KernelEvolution, save: SavePlan) -> Estimate:
        """Memory and time of the dense matrices."""
        size = (problem.data.count + problem.data.test_count) * problem.steps
        work = 10.0 * problem.network.depth * size**3 * problem.steps
        return Estimate(2**26 + 80 * problem.network.depth * size**2, work / 2e10)

    def descend(
        self, problem: KernelEvolution, save: SavePlan, seed: int, progress: bool
    ) -> Solution:
        """Iterate until no kernel changes."""
        require_plain(self.name, problem)
        require_equal_times(self.name, save)
        nonlinear = not problem.network.activation.linear
        refuse(self.name, {"nonlinear activations": nonlinear}, "deep linear networks")
        size = (problem.data.count + problem.data.test_count) * problem.steps
        if size > LARGEST:
            raise CapacityExceeded(
                f"The method linear-kernels forms matrices over samples times steps, {size} here, "
                f"up to {LARGEST}; use the method exact-linear, or fewer steps."
            )
        start = time.perf_counter()
        iteration = _Iteration(problem)
        change, rounds = 0.0, 0
        for steps in range(1, problem.steps + 1):
            changes = [np.inf]
            while changes[-1] > self.tolerance and len(changes) < MOST_ROUNDS:
                changes.append(iteration.round(steps))
            change, rounds = max(change, changes[-1]), rounds + len(changes) - 1
        converged = change <= self.tolerance
        run = Trajectory(iteration.observed(save), time.perf_counter() - start)
        return pack_theory(
            problem,
            save,
            [run],
            method=self.config(),
            seed=seed,
            verdict=Verdict.CONVERGED if converged else Verdict.NOT_CONVERGED,
            message=f"{rounds} rounds; the last of each window changed it by at most {change:.1e}.",
            diagnostics={"rounds": rounds, "residual": float(change), "notes": []},
        )


class _Iteration:
    """Kernels and responses of all layers; events are ordered by step, then sample."""

    def __init__(self, problem: KernelEvolution) -> None:
        self.problem = problem
        T, self.samples = problem.steps, problem.data.count + problem.data.test_count
        size, L = T * self.samples, problem.network.depth
        step = np.repeat(np.arange(T), self.samples)
        self.later = step[:, None] > step[None, :]
        self.gram = problem.data.gram()
        self.variance = [s**2 for s in problem.network.weight_std]
        square = (size, size)
        # H[0] is the kernel of the inputs, G[L + 1] that of the readout's gradient.
        self.H = [np.tile(self.gram, (T, T)), *(np.zeros(square) for _ in range(L))]
        self.G = [np.zeros(square) for _ in range(L + 1)] + [np.ones(square)]
        self.A, self.B = ([np.zeros(square) for _ in range(L + 1)] for _ in range(2))
        self.f = np.zeros(size)

    def round(self, steps: int) -> float:
        """Solve every layer once for the first `steps` steps; returns the largest change."""
        L, n = self.problem.network.depth, steps * self.samples
        window = np.s_[:n, :n]
        old = [k[window].copy() for k in (*self.H[1:], *self.G[1 : L + 1])] + [self.f[:n].copy()]
        push = self._push()[window]
        for i in [*range(1, L + 1), *range(L - 1, 0, -1)]:
            # The readout has variance 1 of its own.
            above = self.variance[i] if i < L else 1.0
            below = self.variance[i - 1]
            M = self.A[i - 1][window] + push * self.H[i - 1][window]
            N = self.B[i][window] + push * self.G[i + 1][window]
            inner, outer = below * self.H[i - 1][window], above * self.G[i + 1][window]
            eye = np.eye(n)
            forward, backward = np.linalg.inv(eye - M @ N), np.linalg.inv(eye - N @ M)
            self.H[i][window] = forward @ (inner + M @ outer @ M.T) @ forward.T
            self.G[i][window] = backward @ (outer + N @ inner @ N.T) @ backward.T
            if i < L:
                self.A[i][window] = above * forward @ M
            else:
                cross = forward @ (inner @ N.T + M @ outer) @ backward.T
                self.f[:n] = np.diagonal(cross) / self.problem.gamma0
            if i > 1:
                self.B[i - 1][window] = below * backward @ N
        new = [k[window] for k in (*self.H[1:], *self.G[1 : L + 1])] + [self.f[:n]]
        return max(_change(a, b) for a, b in zip(new, old, strict=True))

    def _push(self) -> Matrix:
        """(eta gamma0/P) Delta_nu(s) for s < t: what a step adds to later products."""
        problem, train = self.problem, self.problem.data.count
        delta = np.zeros((problem.steps, self.samples))
        delta[:, :train] = problem.data.y - self.f.reshape(problem.steps, -1)[:, :train]
        delta *= (problem.rates() * problem.gamma0 / train)[:, None]
        return self.later * delta.ravel()

    def observed(self, save: SavePlan) -> dict[str, Float[np.ndarray, "..."]]:
        """Equal-time quantities at the saved steps."""
        problem, L, P = self.problem, self.problem.network.depth, self.samples
        grid = save.grid(problem.steps)

        def equal(kernels: list[Matrix]) -> np.ndarray:
            return np.stack(
                [[k[t * P : (t + 1) * P, t * P : (t + 1) * P] for k in kernels] for t in grid]
            )

        Phi, G = equal(self.H[1:]), equal(self.G[1 : L + 1])
        ntk = tangent_kernel(problem.network, self.gram, Phi, G)
        f = self.f.reshape(problem.steps, P, 1)[grid]
        return {"f": f, "Phi": Phi, "G": G, "ntk": ntk}


def _change(new: np.ndarray, old: np.ndarray) -> float:
    """Largest difference, relative to the largest entry."""
    return float(np.abs(new - old).max() / max(np.abs(new).max(), 1e-300))
