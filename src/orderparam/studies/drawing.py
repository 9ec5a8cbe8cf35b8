"""The figures of a run as PNG and SVG files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orderparam.plots import export
from orderparam.studies.outcome import Outcome
from orderparam.studies.store import Run


@dataclass(frozen=True)
class Drawing:
    """A figure that was drawn, or the reason why not.

    Args:
        name: The name of its files, without ending.
        caption: What it shows.
        png: The picture; empty if it was not drawn.
        missing: Why it was not drawn; empty if it was.
    """

    name: str
    caption: str
    png: bytes
    missing: str


def draw(
    run: Run, names: Sequence[str], kinds: Mapping[str, Any], outcomes: Sequence[Outcome]
) -> list[Drawing]:
    """Draw the figures that a study asks for and write them into its run folder.

    Args:
        run: Where the files go.
        names: Names of figures.
        kinds: The family's figures.
        outcomes: The cases; those without numbers to show are left out.
    """
    drawable = [outcome for outcome in outcomes if outcome.drawable]
    return [
        _drawn(run, name, kinds[base], group)
        for base in names
        for name, group in _groups(base, kinds[base].each_case, drawable)
    ]


def _groups(
    name: str, each_case: bool, outcomes: Sequence[Outcome]
) -> Iterator[tuple[str, Sequence[Outcome]]]:
    """File name and cases of each figure of one kind."""
    if not each_case:
        yield name, outcomes
        return
    for outcome in outcomes:
        yield f"{name}-{outcome.case.number}", [outcome]


def _drawn(run: Run, name: str, kind: Any, outcomes: Sequence[Outcome]) -> Drawing:
    """Draw one figure from the cases that have what it needs."""
    pairs = [
        pair
        for pair in map(Outcome.pair, outcomes)
        if all(need in pair.theory for need in kind.needs)
        and (pair.experiment is not None or not kind.runs)
    ]
    if not pairs:
        needed = ", ".join(kind.needs) + (" and an experiment" if kind.runs else "")
        return Drawing(name, kind.caption, b"", f"not drawn: no case has what it needs ({needed})")
    figure = kind.draw(pairs)
    png = export(figure, "png")
    run.write(f"{name}.png", png)
    run.write(f"{name}.svg", export(figure, "svg"))
    labels = "; ".join(outcome.case.label for outcome in outcomes) if kind.each_case else ""
    return Drawing(name, f"{kind.caption} {labels}".strip(), png, "")
