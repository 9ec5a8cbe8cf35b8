"""Values of the base model."""

from collections.abc import Mapping

Base = float | int | Mapping[str, float]
"""One number, or numbers by role or name pattern, with `default` for the rest."""
