"""The table of a comparison: one row for each variable, with a verdict."""

import html
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from orderparam.errors import InvalidProblem
from orderparam.plots import comparison_figure
from orderparam.results import Pair, Solution
from orderparam.results.files import atomic_write
from orderparam.results.plain import plain
from orderparam.support.later import Figure

Outcome = Literal["pass", "fail", "undecided"]


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
    def family(self) -> str:
        """The family of both results."""
        return self.theory.family

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
        return atomic_write(path, self.to_json())

    def plot(self, variable: str | None = None) -> Figure:
        """Theory and experiment on the same axes.

        Args:
            variable: Which variable; `None` for the loss, or the first of the table without one.

        Returns:
            A figure, neither shown nor saved.

        Raises:
            InvalidProblem: If the variable was not compared.
        """
        rows = {row.variable: row for row in self.table}
        name = variable or ("loss" if "loss" in rows else next(iter(rows)))
        if name not in rows:
            raise InvalidProblem(
                f"The variable {name!r} was not compared; choose one of {', '.join(rows)}."
            )
        row = rows[name]
        return comparison_figure(
            Pair(self.theory, self.experiment), name, f"{row.verdict} (z = {row.z:.1f})"
        )

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
