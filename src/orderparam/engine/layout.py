"""What a program consists of: the names of its spaces and matrices."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from orderparam.engine.taps import PLAIN, Taps, checked
from orderparam.errors import InvalidProblem


@dataclass(frozen=True)
class MatrixSpec:
    """A Gaussian matrix from the space `column` (length m) to the space `row` (length n).

    Args:
        row: Space of the images.
        column: Space of the arguments.
        variance: m times the variance of an entry; positive.
        aspect_ratio: n/m; positive.
        response: Keep the response terms (see `GaussianMatrix`).
        taps: For independent blocks that act on groups of vectors, as in a convolution: which
            position of a group each block looks at, for each position of the result (see
            `engine/taps.py`). Blocks of vectors must then hold whole groups.
        momentum: Keep a velocity, which doubles what training stores.
    """

    row: str
    column: str
    variance: float = 1.0
    aspect_ratio: float = 1.0
    response: bool = True
    taps: Taps = PLAIN
    momentum: bool = False

    @property
    def names(self) -> tuple[str, str]:
        """The spaces of its arguments and of its images."""
        return self.column, self.row

    def __post_init__(self) -> None:
        """Refuse values for which no Gaussian matrix exists."""
        for name in ("variance", "aspect_ratio"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise InvalidProblem(
                    f"Argument `{name}` of a matrix must be positive and finite, but is {value}."
                )
        checked(self.taps)


@dataclass(frozen=True)
class Layout:
    """The spaces and matrices that a program uses, by name."""

    spaces: tuple[str, ...]
    matrices: Mapping[str, MatrixSpec] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse matrices between unknown spaces."""
        for name, spec in self.matrices.items():
            for space in (spec.row, spec.column):
                if space not in self.spaces:
                    raise InvalidProblem(
                        f"Matrix `{name}` uses the space `{space}`, but the layout has the spaces "
                        f"{list(self.spaces)}; add it or rename it."
                    )
