"""Theory beside experiment: variable by variable, with a verdict."""

import html
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from orderparam.errors import IncompatibleSolutions, InvalidProblem
from orderparam.results.alignment import Aligned, align, check_pair
from orderparam.results.files import atomic_write
from orderparam.results.plain import plain
from orderparam.results.rates import counting_error
from orderparam.results.sizes import size_of
from orderparam.results.solution import Solution
from orderparam.results.statistics import Agreement, agreement, holm

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Outcome = Literal["pass", "fail", "undecided"]
# Above this ratio of standard error to size, agreement says too little to count as a pass.
_TOO_UNCERTAIN = 0.1
# Standard errors of the theory rest on this many replicates where the method names no number.
_REPLICATES = 8


@dataclass(frozen=True)
class Row:
    """One variable of a comparison.

    Attributes:
        variable: Its name.
        rms_deviation: Root mean square over all entries of (limit of the runs - theory).
        combined_se: Root mean square of the standard error of that difference.
        z: One-sided normal score of `p_value`.
        p_value: Probability of a deviation at least as large if the theory is right.
        verdict: `pass`, `fail` or `undecided`.
        note: Why it is undecided or what else to know; empty for nothing.
    """

    variable: str
    rms_deviation: float
    combined_se: float
    z: float
    p_value: float
    verdict: Outcome
    note: str


@dataclass(frozen=True, repr=False)
class Comparison:
    """Agreement of one theory with one experiment.

    Attributes:
        table: One row per variable.
        theory: The theory that was compared.
        experiment: The experiment that it was compared with.
        level: Probability that a right theory fails in any row.
    """

    table: tuple[Row, ...]
    theory: Solution
    experiment: Solution
    level: float

    @property
    def verdict(self) -> Outcome:
        """`fail` if any row fails, else `undecided` if any row is undecided, else `pass`."""
        verdicts = {row.verdict for row in self.table}
        if "fail" in verdicts:
            return "fail"
        return "undecided" if "undecided" in verdicts else "pass"

    @property
    def sources(self) -> tuple[str, ...]:
        """Keys of the works that both results build on."""
        return tuple(dict.fromkeys((*self.theory.sources, *self.experiment.sources)))

    def to_json(self) -> str:
        """The table, the verdicts and what was compared, as JSON text."""
        content = {
            "verdict": self.verdict,
            "level": self.level,
            "table": [asdict(row) for row in self.table],
            "theory": _identity(self.theory),
            "experiment": _identity(self.experiment),
        }
        return json.dumps(plain(content, "comparison"), indent=2, ensure_ascii=False) + "\n"

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write `to_json` to a file, complete or not at all."""
        text = self.to_json()
        return atomic_write(path, lambda file: file.write_text(text, encoding="utf-8"))

    def plot(self, variable: str | None = None) -> "Figure":
        """Theory and experiment on the same axes.

        Args:
            variable: Which variable; `None` for the loss, or the first of the table without one.

        Returns:
            A figure, neither shown nor saved.
        """
        # Figures need matplotlib, which takes longer to import than most comparisons take.
        from orderparam.plots import comparison_figure

        return comparison_figure(self, variable)

    def __repr__(self) -> str:
        """The table as text."""
        head = ("variable", "rms deviation", "standard error", "z", "p", "verdict", "note")
        rows = [head, *map(_cells, self.table)]
        sizes = [max(len(row[i]) for row in rows) for i in range(len(head))]
        lines = [
            "  ".join(cell.ljust(size) for cell, size in zip(row, sizes, strict=True)).rstrip()
            for row in rows
        ]
        return "\n".join([f"Comparison: {self.verdict} (level {self.level:g})", *lines])

    def _repr_html_(self) -> str:
        """The table for notebooks."""
        return f"<pre>{html.escape(repr(self))}</pre>"


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
    mean of the largest at fewer. Rows are rejected by Holm's rule at family-wise `level`.

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
    if not 0 < level < 1:
        raise InvalidProblem(
            f"Argument `level` must be a probability between 0 and 1, but is {level}; the usual "
            "value is 1e-3."
        )
    check_pair(theory, experiment)
    names = _common(theory, experiment, variables)
    problems = _doubts(theory, experiment)
    replicates = theory.method.get("replicates")
    replicates = replicates if isinstance(replicates, int) else _REPLICATES
    aligned = [align(theory, experiment, name) for name in names]
    tests = [None if a.obstacle else _test(a, replicates) for a in aligned]
    tested = [test for test in tests if test is not None]
    rejected = iter(holm(np.array([test.p_value for test in tested]), level))
    table = tuple(
        _undecided(a) if test is None else _judge(a.name, test, bool(next(rejected)), problems)
        for a, test in zip(aligned, tests, strict=True)
    )
    return Comparison(table, theory, experiment, level)


def _test(aligned: Aligned, replicates: int) -> Agreement:
    """The statistic of one variable."""
    return agreement(
        aligned.theory,
        counting_error(aligned),
        aligned.runs,
        aligned.valid,
        aligned.widths,
        replicates=replicates,
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


def _identity(solution: Solution) -> dict[str, object]:
    """What tells one result from another."""
    keys = ("seed", "verdict", "created", "library_version", "precision", "device")
    attrs = solution.dataset.attrs
    return {"method": solution.method, **{key: attrs[key] for key in keys if key in attrs}}


def _cells(row: Row) -> tuple[str, ...]:
    """One row of the table as text."""
    numbers = (row.rms_deviation, row.combined_se)
    return (
        row.variable,
        *(f"{number:.3g}" for number in numbers),
        f"{row.z:.2f}",
        f"{row.p_value:.2g}",
        row.verdict,
        row.note,
    )
