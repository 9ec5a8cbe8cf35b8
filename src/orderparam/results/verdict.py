"""How a run ended, and what to do about it."""

from enum import StrEnum


class Verdict(StrEnum):
    """The end of a run in one word; `remedy` says in a sentence what to try next."""

    CONVERGED = "converged"
    NOT_CONVERGED = "not_converged"
    DIVERGED = "diverged"
    NON_FINITE = "non_finite"
    CAPACITY_EXCEEDED = "capacity_exceeded"
    ERROR_TOO_LARGE = "error_too_large"
    CANCELLED = "cancelled"

    @property
    def ok(self) -> bool:
        """Whether every number of the result is as accurate as was asked for."""
        return self is Verdict.CONVERGED

    @property
    def remedy(self) -> str:
        """A full sentence: what happened, and what to try."""
        return _REMEDIES[self]


_REMEDIES = {
    Verdict.CONVERGED: ("Each number is as accurate as was asked for; use it as it is."),
    Verdict.NOT_CONVERGED: (
        "The iteration used up its budget before it reached its tolerance; allow more of it, damp "
        "more strongly or accept a larger tolerance."
    ),
    Verdict.DIVERGED: (
        "A quantity grew without bound, as above the stability limit; lower the learning rate, or "
        "damp the iteration."
    ),
    Verdict.NON_FINITE: (
        "A quantity became infinite or not a number; lower the learning rate, damp the iteration, "
        "or look for an activation that overflows."
    ),
    Verdict.CAPACITY_EXCEEDED: (
        "More directions are known than the samples or the memory can hold; raise the number of "
        "samples or the tolerance of the method."
    ),
    Verdict.ERROR_TOO_LARGE: (
        "An error is above the accuracy that was asked for; the message names its largest part and "
        "what lowers that."
    ),
    Verdict.CANCELLED: (
        "The run was stopped before its last step, and later steps are missing; start it again to "
        "get the rest."
    ),
}
