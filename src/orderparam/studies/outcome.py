"""What became of each case, and the verdict on the whole study."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orderparam.comparison import Comparison
from orderparam.results import Finding, Pair, Solution, Verdict
from orderparam.studies.cases import Case
from orderparam.studies.schema import Study

_BROKEN = (Verdict.DIVERGED, Verdict.NON_FINITE)


@dataclass(frozen=True)
class Outcome:
    """Results of one case; what an error prevented is `None`.

    Args:
        case: The case.
        theory: The predicted solution.
        experiment: The measured solution.
        comparison: Agreement of the two.
        error: Why the case is not complete; empty if it is.
    """

    case: Case
    theory: Solution | None
    experiment: Solution | None
    comparison: Comparison | None
    error: str

    @property
    def verdict(self) -> str:
        """`error`, `not converged`, or what the comparison says (`done` without one)."""
        solutions = [s for s in (self.theory, self.experiment) if s is not None]
        if self.error or any(s.verdict in _BROKEN for s in solutions):
            return "error"
        if self.comparison is not None and self.comparison.verdict == "fail":
            return "fail"
        if not all(s.verdict.ok for s in solutions):
            return "not converged"
        return self.comparison.verdict if self.comparison is not None else "done"

    @property
    def drawable(self) -> bool:
        """Whether there is a theory whose numbers can be shown."""
        return self.theory is not None and self.theory.verdict not in _BROKEN

    def pair(self) -> Pair:
        """Theory and experiment as figures and claims take them; needs a theory."""
        assert self.theory is not None
        return Pair(self.theory, self.experiment, self.case.symbol)


def summary(
    study: Study, outcomes: Sequence[Outcome], findings: Sequence[Finding]
) -> dict[str, Any]:
    """The study's verdicts as plain values, as `comparison.json` holds them.

    Where agreement is only shown, as in a study of theories that break down, cases count no
    further than by their errors.
    """
    counted = study.agreement == "counts"
    verdicts = {o.verdict for o in outcomes if counted or o.verdict == "error"}
    verdicts |= {finding.verdict for finding in findings} | {"done"}
    order = ("error", "fail", "not converged", "undecided", "pass", "done")
    return {
        "study": study.name,
        "title": study.title,
        "verdict": next(verdict for verdict in order if verdict in verdicts),
        "claims": [finding.plain() for finding in findings],
        "cases": [_described(outcome) for outcome in outcomes],
    }


def _described(outcome: Outcome) -> dict[str, Any]:
    """One case as plain values."""
    case = outcome.case
    return {
        "case": case.number,
        "label": case.label,
        "values": dict(case.values),
        "verdict": outcome.verdict,
        "error": outcome.error,
        "theory": _status(outcome.theory, case.theory.file),
        "experiment": _status(outcome.experiment, case.experiment.file if case.experiment else ""),
        "comparison": json.loads(outcome.comparison.to_json()) if outcome.comparison else None,
    }


def _status(solution: Solution | None, file: str) -> dict[str, Any] | None:
    """Verdict and file of one result."""
    if solution is None:
        return None
    return {"file": file, "verdict": solution.verdict.value, "message": solution.message}
