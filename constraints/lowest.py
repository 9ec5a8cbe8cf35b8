"""Print the lowest release of every dependency that pyproject.toml admits, as constraints."""

import tomllib
from pathlib import Path

PROJECT = Path(__file__).parent.parent / "pyproject.toml"


def lowest() -> list[str]:
    """One line `name==version` for each dependency of the base."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    return [line.split(",")[0].replace(">=", "==") for line in project["dependencies"]]


if __name__ == "__main__":
    print(*lowest(), sep="\n")
