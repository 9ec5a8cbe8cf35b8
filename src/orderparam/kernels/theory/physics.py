"""What the loss of gradient descent may do, however exactly a method followed it."""

import numpy as np
from jaxtyping import Float, Int

from orderparam.results import Verdict

BLOWN_UP = 1e3
"""Loss, relative to its largest value in the first two observed steps, that counts as diverged."""

STEADY = 0.99
"""Part of its size that an oscillation keeps over the last steps if it does not die out."""

_LOOKED_AT = 12


def checked_loss(
    loss: Float[np.ndarray, " time"], steps: Int[np.ndarray, " time"], message: str
) -> tuple[Verdict, str]:
    """The verdict on a loss that a method followed to its accuracy, and what to say of it.

    Returns:
        `non_finite` if it is not a number anywhere, `diverged` if it grew a thousandfold; else
        `converged`, with a sentence where the loss does not fall: it ends above its start, or
        oscillates between two values for ever.
    """
    if np.isnan(loss).any():
        at = int(steps[np.argmax(np.isnan(loss))])
        return Verdict.NON_FINITE, f"The loss is not a number from step {at} on."
    start = float(loss[:2].max())
    if loss.max() > BLOWN_UP * start > 0:
        at = int(steps[np.argmax(loss > BLOWN_UP * start)])
        return Verdict.DIVERGED, (
            f"The loss grew to {loss.max():.3g} by step {at}, from {start:.3g} at the start."
        )
    if _oscillates(loss, steps):
        message += (
            " The loss oscillates from step to step without settling, as it does at the stability "
            "limit of the learning rate."
        )
    elif loss[-1] > loss[0] > 0:
        message += f" The loss ends above its start, at {loss[-1]:.3g} after {loss[0]:.3g}."
    return Verdict.CONVERGED, message


def _oscillates(loss: Float[np.ndarray, " time"], steps: Int[np.ndarray, " time"]) -> bool:
    """Whether the last steps go up and down by as much each time."""
    if len(loss) < _LOOKED_AT or np.any(np.diff(steps[-_LOOKED_AT:]) != 1):
        return False
    moves = np.diff(loss[-_LOOKED_AT:])
    if np.abs(moves).min() <= 1e-9 * max(float(np.abs(loss[-_LOOKED_AT:]).max()), 1e-300):
        return False
    turns = bool(np.all(moves[1:] * moves[:-1] < 0))
    return turns and bool(abs(moves[-1]) > STEADY * abs(moves[1]))
