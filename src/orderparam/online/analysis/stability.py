"""Up to which learning rate a zero-loss solution is stable, for any teacher and second layers."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.online.model.activations import label_of
from orderparam.online.model.overlaps import Overlaps
from orderparam.online.problem import TeacherStudent, checked_problem
from orderparam.online.theory.flow import Rule, fixed_of, velocity
from orderparam.online.theory.moments import State
from orderparam.support.keywords import known_keywords
from orderparam.support.settings import library_settings

_MARGINAL = 1e-6
"""Growth, relative to the largest rate, that rounding of the solution's zero modes explains."""


@known_keywords
def critical_learning_rate(problem: TeacherStudent) -> float:
    """Largest `learning_rate` of the problem at which the zero-loss solution does not grow away.

    The velocity of the overlaps near the solution is `(eta J_1 + eta^2 J_2) d`, with the
    Jacobians J_1 of gradient flow and J_2 of the SGD noise; the limit is where the largest real
    part of an eigenvalue turns positive. It is a nominal rate, as the problem's own: for A, B and T
    multiples of 1 it is (1 - momentum) times the effective
    `isotropic(problem).critical_learning_rate`.

    Args:
        problem: A quadratic problem with one start, positive output weights and p >= p*. Its own
            learning rate does not enter, its momentum and batch size do.

    Raises:
        UnsupportedCombination: If it has no zero-loss solution in closed form.
        InvalidProblem: If it has many starts.

    Cost: two Jacobians and some sixty eigenvalue problems of p(p+1)/2 + p p* unknowns.

    Source: docs/theory/online.md, Stability limit and noise floor.
    """
    at = _zero_loss(checked_problem(problem))
    with library_settings():
        flow, noise = (np.asarray(part) for part in _jacobians(problem, at))
    largest = _MARGINAL * np.abs(np.linalg.eigvals(flow)).max()

    def grows(rate: float) -> bool:
        return bool(np.linalg.eigvals(flow + rate * noise).real.max() > largest)

    low, high = 0.0, 1e-6
    while not grows(high):
        low, high = high, 2 * high
        if high > 1e12:
            raise UnsupportedCombination("The solution is stable at every learning rate.")
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if grows(middle) else (middle, high)
    return low * problem.batch_size * (1 - problem.momentum)


def _zero_loss(problem: TeacherStudent) -> Overlaps:
    """Overlaps of one zero-loss solution, W = A^-1/2 O B^1/2 W* with O the first p* columns of 1.

    Source: docs/theory/online.md, Zero-loss manifold.
    """
    drift = problem.offset + problem.shift * (problem.A.sum() - problem.B.sum())
    wrong = {
        f"the {label_of(problem.activation)} activation": problem.activation != "quadratic",
        "fewer students than teachers": problem.students < problem.teachers,
        "output weights that are not positive": min(problem.A.min(), problem.B.min()) <= 0,
        "a constant that the error keeps": problem.centering != "population" and abs(drift) > 1e-12,
        "structured inputs (`spectrum`)": problem.spectrum is not None,
        "weight decay": problem.weight_decay > 0,
        "students of fixed norm": problem.spherical,
        "a trained second layer": problem.second_layer_rate > 0,
    }
    found = next((what for what, is_wrong in wrong.items() if is_wrong), "")
    if found:
        raise UnsupportedCombination(
            f"A zero-loss solution in closed form does not exist for {found}; it needs quadratic "
            "activation, p >= p*, positive weights, plain SGD, and no offset."
        )
    if problem.start.draws is not None:
        raise InvalidProblem("The problem has many starts; give one, since T may differ.")
    turn = np.eye(problem.students, problem.teachers)
    scaled = np.sqrt(problem.B) * turn / np.sqrt(problem.A)[:, None]
    T = problem.start.T
    return Overlaps(scaled @ T @ scaled.T, scaled @ T, T)


def _jacobians(
    problem: TeacherStudent, at: Overlaps
) -> tuple[Float[Any, "unknown unknown"], Float[Any, "unknown unknown"]]:
    """J_1 and J_2 in the upper triangle of Q and all of M."""
    upper = np.triu_indices(problem.students)
    fixed, A = fixed_of(problem, jnp.asarray(at.T)), jnp.asarray(problem.A)
    start, unpack = ravel_pytree((jnp.asarray(at.Q)[upper], jnp.asarray(at.M)))

    def speed(packed: Any, noise: float) -> Any:
        entries, M = unpack(packed)
        Q = jnp.zeros((len(A), len(A))).at[upper].set(entries)
        Q = Q + jnp.triu(Q, 1).T
        one, zero = jnp.ones(()), jnp.zeros(())
        rule = Rule(one, noise * one, zero, zero, "quadratic", False)
        rise = velocity(None, State(Q, M, A), (fixed, rule))
        return ravel_pytree((rise.Q[upper], rise.M))[0]

    flow, both = (jax.jacfwd(lambda x, n=n: speed(x, n))(start) for n in (0.0, 1.0))
    return flow, both - flow
