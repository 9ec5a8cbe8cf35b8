"""The claims of a study, checked on its results."""

from collections.abc import Mapping, Sequence

from orderparam.contract import Claim
from orderparam.errors import OrderParamError
from orderparam.results import Finding
from orderparam.studies.outcome import Outcome
from orderparam.studies.schema import Study


def findings(
    study: Study, known: Mapping[str, Claim], outcomes: Sequence[Outcome]
) -> list[Finding]:
    """What each claim of the study finds in the cases whose results are there.

    A claim that cannot be checked on them is undecided and says why.
    """
    pairs = [outcome.pair() for outcome in outcomes if outcome.drawable]
    found: list[Finding] = []
    for name in study.claims:
        try:
            found += known[name](pairs)
        except OrderParamError as error:
            found.append(Finding(name, float("nan"), "", "undecided", note=str(error)))
    return found
