"""A store, and studies of a family that costs nothing."""

from pathlib import Path

import pytest


@pytest.fixture
def toy(monkeypatch):
    """The toy family, registered and with an empty record of calls."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import toy_family

    toy_family.calls.clear()
    return toy_family


@pytest.fixture
def toy_file(toy, tmp_path):
    """The toy study as a file."""
    path = tmp_path / "toy.toml"
    path.write_text(toy.TOY)
    return path
