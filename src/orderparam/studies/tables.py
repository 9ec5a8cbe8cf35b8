"""A run's verdicts as a table in the terminal, and its numbers as text."""

import math
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orderparam.results.screen import with_error

HEAD = ("variable", "rms deviation", "standard error", "z", "p", "verdict", "note")
CLAIM_HEAD = ("claim", "measured", "expected", "verdict")
_COLOURS = {"pass": "green", "done": "green", "fail": "red", "error": "red"}


def row_cells(row: dict[str, Any]) -> list[str]:
    """One row of a comparison as text, in the order of `HEAD`."""
    numbers = (("rms_deviation", ".3g"), ("combined_se", ".2g"), ("z", ".2f"), ("p_value", ".2g"))
    # JSON has no NaN or infinity; they come as strings, which float reads.
    values = [format(float(row[name]), style) for name, style in numbers]
    return [row["variable"], *values, row["verdict"], row["note"]]


def claim_cells(finding: dict[str, Any]) -> list[str]:
    """One finding as text, in the order of `CLAIM_HEAD`."""
    se = finding["se"]
    measured = with_error(float(finding["measured"]), None if se is None else float(se))
    note = f" ({finding['note']})" if finding["note"] else ""
    return [finding["statement"] + note, measured, finding["expected"], finding["verdict"]]


def print_summary(summary: dict[str, Any]) -> None:
    """Print the verdicts of a study, case by case."""
    console = Console()
    console.print(f"[bold]{escape(summary['title'])}[/]: {_coloured(summary['verdict'])}")
    if summary["claims"]:
        table = Table(*CLAIM_HEAD, box=None)
        for finding in summary["claims"]:
            table.add_row(*(escape(cell) for cell in claim_cells(finding)))
        console.print(table)
    for case in summary["cases"]:
        console.print(f"\n{escape(case['label'])}: {_coloured(case['verdict'])}")
        if case["error"]:
            console.print(escape(case["error"]))
        for kind in ("theory", "experiment"):
            if case[kind] is not None and case[kind]["verdict"] != "converged":
                text = f"{kind}: {case[kind]['verdict']}. {case[kind]['message']}"
                console.print(escape(text))
        if case["comparison"] is not None:
            _print_table(console, case["comparison"]["table"])


def _print_table(console: Console, rows: list[dict[str, Any]]) -> None:
    """The rows of one comparison, and under them each note with the variables it is about."""
    table = Table(*HEAD[:-1], box=None)
    notes: dict[str, list[str]] = {}
    for row in rows:
        *cells, note = row_cells(row)
        table.add_row(*(escape(cell) for cell in cells))
        if note:
            notes.setdefault(note, []).append(row["variable"])
    if has_numbers(rows):
        console.print(table)
    for note, names in notes.items():
        console.print(f"  {escape(', '.join(names))}: {escape(note)}", style="dim")


def has_numbers(rows: list[dict[str, Any]]) -> bool:
    """Whether any row was tested; a study of single seeds has none, and needs no empty table."""
    return any(math.isfinite(float(row["p_value"])) for row in rows)


def _coloured(verdict: str) -> str:
    """A verdict in the markup of rich."""
    return f"[{_COLOURS.get(verdict, 'yellow')}]{verdict}[/]"
