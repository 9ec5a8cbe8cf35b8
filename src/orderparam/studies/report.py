"""A report that is one HTML file: figures inside it, nothing loaded from elsewhere."""

import base64
import html
import json
from collections.abc import Sequence
from typing import Any

from orderparam.studies.drawing import Drawing
from orderparam.studies.outcome import Outcome
from orderparam.studies.schema import Study
from orderparam.studies.tables import CLAIM_HEAD, HEAD, claim_cells, has_numbers, row_cells
from orderparam.studies.toml_text import dump
from orderparam.verbs import citation

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  color: #1b1b1b; background: #fff; }
h1 { line-height: 1.2; } h2 { margin-top: 2.2rem; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; margin: 0.6rem 0 1.2rem; font-size: 0.9rem; }
th, td { text-align: left; padding: 0.25rem 0.8rem 0.25rem 0; border-bottom: 1px solid #ddd;
  vertical-align: top; }
td.number { font-variant-numeric: tabular-nums; }
.verdict { font-weight: 600; padding: 0.05rem 0.5rem; border-radius: 0.3rem; background: #eee; }
.pass, .done { background: #d5ecd9; } .fail, .error { background: #f6d0c8; }
.undecided, .not { background: #fbe9bd; }
figure { margin: 1.5rem 0; } img { max-width: 100%; } figcaption { color: #555; }
pre { background: #f6f6f6; padding: 0.8rem; overflow-x: auto; font-size: 0.85rem; }
"""


def report(
    study: Study,
    summary: dict[str, Any],
    figures: Sequence[Drawing],
    environment: dict[str, Any],
    outcomes: Sequence[Outcome],
) -> str:
    """The report of a run.

    Args:
        study: The resolved study.
        summary: Its verdicts, as in `comparison.json`.
        figures: What was drawn.
        environment: What it ran on.
        outcomes: The results, for their sources.

    Returns:
        A complete HTML page that needs no network.
    """
    results = [s for o in outcomes for s in (o.theory, o.experiment) if s is not None]
    entries = dict.fromkeys(entry for s in results for entry in citation(s).split("\n\n"))
    toml = dump(study.model_dump(mode="json", exclude={"quick"}))
    title = html.escape(study.title)
    parts = [
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>{title}</h1><p>{html.escape(study.claim)}</p>",
        f"<p>Verdict on the study: {_badge(summary['verdict'])}</p>",
        _claims(summary["claims"]),
        "<h2>Agreement of theory and experiment</h2>" + "".join(map(_case, summary["cases"])),
        "<h2>Figures</h2>" + "".join(map(_figure, figures)),
        f"<h2>What it ran on</h2>{_machine(environment)}",
        f"<h2>The study</h2><pre>{html.escape(toml)}</pre>",
        f"<h2>Please cite</h2><pre>{html.escape(chr(10).join(entries))}</pre>",
        "</body></html>\n",
    ]
    return "\n".join(parts)


def _badge(verdict: str) -> str:
    """A verdict, coloured; the word itself says everything that the colour does."""
    return f'<span class="verdict {html.escape(verdict)}">{html.escape(verdict)}</span>'


def _claims(findings: Sequence[dict[str, Any]]) -> str:
    """The findings as a table; nothing without any."""
    if not findings:
        return ""
    head = "".join(f"<th>{name}</th>" for name in CLAIM_HEAD)
    rows = []
    for finding in findings:
        *cells, verdict = claim_cells(finding)
        text = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
        rows.append(f"<tr>{text}<td>{_badge(verdict)}</td></tr>")
    return f"<h2>Claims</h2><table><tr>{head}</tr>{''.join(rows)}</table>"


def _case(case: dict[str, Any]) -> str:
    """Heading, verdicts and table of one case."""
    parts = [f"<h3>{html.escape(case['label'])} {_badge(case['verdict'])}</h3>"]
    if case["error"]:
        parts.append(f"<p>{html.escape(case['error'])}</p>")
    for kind in ("theory", "experiment"):
        status = case[kind]
        if status is not None:
            text = f"{kind}: {status['verdict']}. {status['message']}"
            parts.append(f"<p>{html.escape(text)}</p>")
    table = case["comparison"]["table"] if case["comparison"] is not None else []
    if not has_numbers(table):
        notes = dict.fromkeys(row["note"] for row in table if row["note"])
        parts += [f"<p>not compared: {html.escape(note)}</p>" for note in notes]
    else:
        rows = "".join(map(_row, table))
        head = "".join(f"<th>{name}</th>" for name in HEAD)
        parts.append(f"<table><tr>{head}</tr>{rows}</table>")
    return "".join(parts)


def _row(row: dict[str, Any]) -> str:
    """One row of a comparison."""
    name, *numbers, verdict, note = row_cells(row)
    cells = "".join(f'<td class="number">{value}</td>' for value in numbers)
    return (
        f"<tr><td>{html.escape(name)}</td>{cells}<td>{_badge(verdict)}</td>"
        f"<td>{html.escape(note)}</td></tr>"
    )


def _figure(drawing: Drawing) -> str:
    """One picture, embedded."""
    caption = html.escape(f"{drawing.caption} {drawing.missing}")
    if not drawing.png:
        return f"<p>{caption}</p>"
    data = base64.b64encode(drawing.png).decode("ascii")
    return (
        f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _machine(environment: dict[str, Any]) -> str:
    """The circumstances as a table."""
    rows = "".join(
        f"<tr><td>{html.escape(key)}</td><td>{html.escape(_text(value))}</td></tr>"
        for key, value in environment.items()
        if key != "results"
    )
    results = "".join(
        f"<tr><td>{html.escape(key)}</td><td>{html.escape(_text(value))}</td></tr>"
        for key, value in environment["results"].items()
    )
    return f"<table>{rows}{results}</table>"


def _text(value: Any) -> str:
    """A plain value as readable text."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(inner)}" for key, inner in value.items())
    return value if isinstance(value, str) else json.dumps(value)
