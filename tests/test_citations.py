"""Pages of docs/ that the source files cite exist, and so do the headings they name.

A citation is `docs/PAGE.md`, alone or with headings: `docs/theory/online.md, Hessian, Errors.`
Headings follow one another after commas; a period, semicolon, colon or bracket ends them.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src" / "orderparam").rglob("*.py"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGE = re.compile(r"[\w./-]*\w\.md\b")
CITATION = re.compile(r"(?P<page>[\w./-]*\w\.md)(?P<headings>(?:, [^,.;:()]+)+)")
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
FENCE = re.compile(r"^`{3,}.*?^`{3,}\s*$", re.M | re.S)
HEADING = re.compile(r"^#{1,6} +(?P<text>.+?) *$", re.M)


def joined(text: str) -> str:
    """The text without its line breaks, as docstrings and comments wrap."""
    return re.sub(r"[ \t]*\n[ \t]*(?:#+ ?)?", " ", text)


def pages_in(text: str) -> list[str]:
    """Every page that a source text names."""
    return PAGE.findall(joined(text))


def citations_in(text: str) -> list[tuple[str, str]]:
    """Every (page, heading) that a source text cites."""
    return [
        (match["page"], heading.strip())
        for match in CITATION.finditer(joined(text))
        for heading in match["headings"].split(", ")[1:]
    ]


def headings_of(page: Path) -> set[str]:
    """The headings of a page, as they are written."""
    return {match["text"] for match in HEADING.finditer(FENCE.sub("", page.read_text("utf-8")))}


def anchor(heading: str) -> str:
    """The anchor that a heading gets where pages are rendered."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def missing(text: str) -> list[str]:
    """What a source text cites although it does not exist."""
    wrong = [
        f"{page}: no such page below docs/"
        for page in pages_in(text)
        if not page.startswith("docs/") or not (ROOT / page).is_file()
    ]
    for page, heading in citations_in(text):
        known = headings_of(ROOT / page) if (ROOT / page).is_file() else {heading}
        if heading not in known:
            wrong.append(f"{page}: no heading {heading!r}")
    return wrong


def test_citations_in_the_source_exist():
    wrong = {
        str(source.relative_to(ROOT)): found
        for source in SOURCES
        if (found := missing(source.read_text("utf-8")))
    }
    assert wrong == {}


def test_many_headings_are_cited():
    cited = [c for source in SOURCES for c in citations_in(source.read_text("utf-8"))]
    assert len(cited) >= 50
    assert {page for page, _ in cited} >= {
        f"docs/theory/{name}.md" for name in ("engine", "kernels", "mixtures", "online", "experts")
    }


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("Source: docs/theory/online.md, Escape from the\n    plateau, Escape times.", []),
        ("Source: Bocchi (2026); docs/theory/online.md, Hessian; more.", []),
        ("Source: docs/schema.md. Then more, of course.", []),
        ("Source: online.md section 4.", ["online.md: no such page below docs/"]),
        ("Source: docs/nowhere.md, Cost.", ["docs/nowhere.md: no such page below docs/"]),
        (
            "Source: docs/theory/online.md, Hessian, section 4.3.",
            ["docs/theory/online.md: no heading 'section 4'"],
        ),
    ],
)
def test_a_wrong_citation_is_found(text, wrong):
    assert missing(text) == wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page):
    text = FENCE.sub("", page.read_text("utf-8"))
    for match in LINK.finditer(re.sub(r"`[^`\n]*`", "", text)):
        target, _, name = match["target"].partition("#")
        if "://" in target:
            continue
        found = page if not target else (page.parent / target).resolve()
        assert found.exists(), match[0]
        if name:
            assert name in {anchor(heading) for heading in headings_of(found)}, match[0]
