"""The overlap equations in singular modes, for the isotropic quadratic model."""

from typing import ClassVar

import numpy as np

from orderparam.contract import Estimate, SavePlan
from orderparam.errors import UnsupportedCombination
from orderparam.online.methods.integrated import IntegratedMethod, integrated
from orderparam.online.problem import TeacherStudent
from orderparam.online.theory.flow import fixed_of
from orderparam.online.theory.modes import Modes
from orderparam.online.theory.moments import State
from orderparam.results import Solution

_COMPILATION = 5.0
"""Seconds that compiling takes on one core, as measured."""


class ModalODE(IntegratedMethod):
    """Integrate p + min(p, p*) numbers in place of Q and M, with the same results.

    Exact for the quadratic activation with A, B, T and Q(0) multiples of the identity, at every
    learning rate, schedule, label noise and weight decay; every other problem is refused.

    Args:
        rtol: Relative tolerance of a step.
        atol: Absolute tolerance of a step.
        sgd_noise: Keep the eta^2 term; without it this is gradient flow at time eta t.
        max_steps: Steps of the integrator after which a trajectory is given up.
        margin: delta: the plateau is entered and left at a relative distance delta of the loss.
        rest: Share of the plateau's loss above the final one at which a run has converged.

    Cost: O(p) a step and trajectory. The integration alone takes about two thirds of that of
    `OverlapODE` at (p, p*) = (4, 2) and (8, 4); events and labels, most of a solve, take the same.

    Source: docs/theory/online.md, Modal equations.
    """

    family: ClassVar[str] = "online"
    name: ClassVar[str] = "modal-ode"

    def estimate(self, problem: TeacherStudent, save: SavePlan) -> Estimate:
        """From the number of trajectories, saved times and units."""
        units, draws = problem.students + problem.teachers, problem.start.draws or 1
        numbers = draws * len(problem.times(save)) * (units**2 + 4)
        return Estimate(2**27 + 64 * numbers, 0.01 + 1e-5 * draws * units, _COMPILATION)

    def solve(self, problem: TeacherStudent, save: SavePlan, seed: int, progress: bool) -> Solution:
        """Integrate the modes of every initial state.

        Raises:
            UnsupportedCombination: If the overlaps of the problem do not keep their modes.
        """
        del progress  # a solve takes well under a second
        _require_modes(problem)
        start, p = problem.start.flat(), problem.students
        left, values, right = np.linalg.svd(start.M)
        mu = np.zeros((len(values), p))
        mu[:, : values.shape[1]] = values
        A = np.broadcast_to(problem.A, mu.shape)
        q = np.diagonal(start.Q, axis1=1, axis2=2)
        modes = Modes(left, right, A, q, mu)
        first = State(start.Q, start.M, A)
        fixed = fixed_of(problem, start.T)
        return integrated(self, problem, save, seed, [(first, fixed, modes)])


def _require_modes(problem: TeacherStudent) -> None:
    """Refuse problems whose overlaps do not keep the singular vectors of M(0)."""
    start = problem.start
    wrong = {
        "the activation is not quadratic": problem.activation != "quadratic",
        "the inputs have a `spectrum`": problem.spectrum is not None,
        "the second layer `A` is not a multiple of ones": np.ptp(problem.A) > 0,
        "the teacher's second layer `B` is not a multiple of ones": np.ptp(problem.B) > 0,
        "the second layer is trained": problem.second_layer_rate > 0,
        "the norms are held (`spherical`)": problem.spherical,
        "the teacher overlaps `T` are not a multiple of the identity": not _scalar(start.T),
        "the initial overlaps `Q` are not a multiple of the identity": not _scalar(start.Q),
    }
    found = next((why for why, is_wrong in wrong.items() if is_wrong), "")
    if found:
        raise UnsupportedCombination(
            f"Overlaps keep their singular modes in the isotropic quadratic model, but {found}; "
            "use OverlapODE, or start with random_overlaps(..., student='orthogonal')."
        )


def _scalar(gram: np.ndarray) -> bool:
    """Whether each matrix is a multiple of the identity, up to rounding."""
    size = gram.shape[-1]
    level = np.trace(gram, axis1=-2, axis2=-1)[..., None, None] / size
    return bool(np.abs(gram - level * np.eye(size)).max() <= 1e-12 * np.abs(gram).max())
