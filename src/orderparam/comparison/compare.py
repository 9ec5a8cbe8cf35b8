"""The decision whether an experiment agrees with a theory, variable by variable."""

import numpy as np

from orderparam.comparison.alignment import Aligned, align, check_pair
from orderparam.comparison.rates import counting_error
from orderparam.comparison.statistics import Agreement, agreement, holm
from orderparam.comparison.table import Comparison, Outcome, Row
from orderparam.errors import IncompatibleSolutions
from orderparam.results import Solution
from orderparam.results.sizes import size_of
from orderparam.results.uncertainty import replicates
from orderparam.support.arguments import instance, probability, sequence, text
from orderparam.support.keywords import known_keywords

# Above this ratio of standard error to size, agreement says too little to count as a pass.
_TOO_UNCERTAIN = 0.1


@known_keywords
def compare(
    theory: Solution,
    experiment: Solution,
    *,
    variables: list[str] | tuple[str, ...] | None = None,
    level: float = 1e-3,
) -> Comparison:
    """Decide, variable by variable, whether an experiment agrees with a theory.

    The statistic of a variable is the root mean square over all entries of `limit - theory`, where
    the limit of the runs is the intercept of a regression on 1/N at three or more sizes, and the
    mean of the largest at fewer. The known bias of the theory (`NAME_bias`) counts as an error
    beside its standard error. Rows are rejected by Holm's rule at family-wise `level`.

    Args:
        theory: Result of `solve`.
        experiment: Result of `simulate` for the same problem, with leading dimensions for size
            (`width`, `dimension` or `size`) and `seed`, and `run_valid` where seeds are missing.
        variables: What to compare; `None` for everything that both have.
        level: Probability, in (0, 1), that a right theory fails in any row.

    Returns:
        The table with a verdict for each row and overall.

    Raises:
        IncompatibleSolutions: If the two differ in family, problem, dimensions or coordinates, or
            a variable is missing; the message names the first difference.
        InvalidProblem: If `level` is not in (0, 1).

    Cost:
        Time `entries x runs^2`; memory beyond the data is independent of the number of entries.
    """
    instance("theory", theory, Solution, "give what orderparam.solve returned")
    instance("experiment", experiment, Solution, "give what orderparam.simulate returned")
    level = probability("level", level, "the usual value is 1e-3")
    if variables is not None:
        given = sequence("variables", variables, "names")
        variables = [text("variables", name) for name in given]
    check_pair(theory, experiment)
    names = _common(theory, experiment, variables)
    problems = _doubts(theory, experiment)
    behind = replicates(theory.dataset)
    aligned = [align(theory, experiment, name) for name in names]
    tests = [None if a.obstacle else _test(a, behind) for a in aligned]
    tested = [test for test in tests if test is not None]
    rejected = iter(holm(np.array([test.p_value for test in tested]), level))
    table = tuple(
        _undecided(a) if test is None else _judge(a.name, test, bool(next(rejected)), problems)
        for a, test in zip(aligned, tests, strict=True)
    )
    return Comparison(table, theory, experiment, level)


def _test(aligned: Aligned, behind: int) -> Agreement:
    """The statistic of one variable."""
    return agreement(
        aligned.theory,
        counting_error(aligned),
        aligned.runs,
        aligned.valid,
        aligned.widths,
        replicates=behind,
        rounding=aligned.rounding,
    )


def _judge(name: str, test: Agreement, rejected: bool, doubts: str) -> Row:
    """Turn one test into a row of the table."""
    verdict: Outcome = "pass"
    note = ""
    if rejected and not test.extrapolated:
        verdict = "undecided"
        note = (
            "differs, but a finite-size shift cannot be told from a wrong theory with fewer than "
            "three sizes; simulate three or more"
        )
    elif rejected:
        verdict = "fail"
        if test.mismatches:
            note = f"{test.mismatches} entries have no error on either side and differ"
    elif test.entries and test.combined_se > _TOO_UNCERTAIN * test.scale:
        verdict = "undecided"
        note = (
            f"agrees within a standard error above {_TOO_UNCERTAIN:.0%} of its size; use more "
            "seeds or larger systems"
        )
    elif doubts:
        verdict, note = "undecided", doubts
    elif not test.entries:
        note = "all entries are free of chance and equal"
    return Row(name, test.rms_deviation, test.combined_se, test.z, test.p_value, verdict, note)


def _undecided(aligned: Aligned) -> Row:
    """A row that could not be tested."""
    nan = float("nan")
    return Row(aligned.name, nan, nan, nan, nan, "undecided", aligned.obstacle)


def _common(
    theory: Solution, experiment: Solution, wanted: list[str] | tuple[str, ...] | None
) -> list[str]:
    """Names to compare: those asked for, or all that theory and runs share."""
    runs = [n for n in experiment.variables if size_of(experiment[n])]
    common = [name for name in theory.variables if name in runs]
    if not common:
        raise IncompatibleSolutions(
            f"The theory has the variables {', '.join(theory.variables)} and the experiment has "
            f"{', '.join(runs) or 'none'} for single runs, but none is common; solve and simulate "
            "the same problem with the same quantities saved."
        )
    for name in wanted or ():
        if name not in common:
            raise IncompatibleSolutions(
                f"The variable {name!r} was asked for, but theory and experiment share only "
                f"{', '.join(common)}; choose among these."
            )
    return common if wanted is None else list(dict.fromkeys(wanted))


def _doubts(theory: Solution, experiment: Solution) -> str:
    """Why agreement of these two would not count, in words."""
    parts = [
        f"the {solution.kind} ended with the verdict {solution.verdict.value!r}"
        for solution in (theory, experiment)
        if not solution.verdict.ok
    ]
    return " and ".join(parts)
