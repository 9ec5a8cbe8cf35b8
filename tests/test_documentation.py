"""Every Python block of README.md and docs/ runs, in order, one name space and folder per file."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(
    r"^(?P<fence>`{3,})(?P<language>\w*)[^\n]*\n(?P<code>.*?)^(?P=fence)\s*$", re.M | re.S
)
SKIP = re.compile(r"<!--\s*not executed:(?P<reason>.*?)-->\s*\Z", re.S)


@dataclass(frozen=True)
class Block:
    line: int
    code: str


def python_blocks(text: str) -> list[Block]:
    """The blocks of a page that are to run; a skipped block must say why."""
    blocks = []
    for match in FENCE.finditer(text):
        if match["language"] != "python":
            continue
        line = text.count("\n", 0, match.start("code"))
        skip = SKIP.search(text[: match.start()])
        if skip is None:
            blocks.append(Block(line, match["code"]))
        elif not skip["reason"].strip():
            raise ValueError(f"The block after line {line} is not executed, but gives no reason.")
    return blocks


def run_page(path: Path) -> None:
    """Run the blocks of one page; line numbers in a traceback are those of the page."""
    names: dict[str, object] = {"__name__": "__main__"}
    for block in python_blocks(path.read_text(encoding="utf-8")):
        exec(compile("\n" * block.line + block.code, str(path), "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_blocks_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page(page)


def test_a_wrong_block_fails_with_its_line(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n```python\nx = 1\n```\ntext\n```python\nassert x == 2\n```\n")
    with pytest.raises(AssertionError) as caught:
        run_page(page)
    assert caught.traceback[-1].lineno + 1 == 8


def test_only_blocks_with_a_reason_are_skipped():
    fence = "```python\nboom()\n```\n"
    assert python_blocks("<!-- not executed: needs a GPU -->\n" + fence) == []
    assert len(python_blocks("<!-- not executed: needs a GPU -->\ntext\n" + fence)) == 1
    with pytest.raises(ValueError, match="gives no reason"):
        python_blocks("<!-- not executed: -->\n" + fence)
    assert python_blocks(fence.replace("python", "text")) == []
