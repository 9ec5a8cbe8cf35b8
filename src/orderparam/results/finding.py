"""What a study concludes about its claim: a number, what was expected, and whether it holds."""

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Finding:
    """One checkable statement about the results of a study.

    Args:
        statement: What was measured, in words.
        measured: The number that came out.
        expected: What the claim expects of it, in words, such as "-0.5 within 2 standard errors".
        verdict: Whether the expectation holds.
        se: Standard error of `measured`, `None` where there is none.
        note: What else to know.
    """

    statement: str
    measured: float
    expected: str
    verdict: Literal["pass", "fail", "undecided"]
    se: float | None = None
    note: str = ""

    def plain(self) -> dict[str, Any]:
        """The finding as plain values."""
        return asdict(self)


def judged(holds: bool) -> Literal["pass", "fail"]:
    """The verdict on an expectation that either holds or not."""
    return "pass" if holds else "fail"
