"""What the axes of a parameter mean, so that fan-in never has to be guessed.

An axis string has one letter for each axis: `e` experts, `i` input, `o` output, `k` positions of a
convolution (they count to the fan-in), `v` look-up (one row is used, so it counts to nothing), `x`
an output whose size no rule checks. `(2 o)` is an axis that holds two fused outputs.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from orderparam.errors import InvalidProblem

_TOKEN = re.compile(r"\(\s*(\d+)\s+([eiokvx])\s*\)|([eiokvx])")


@dataclass(frozen=True)
class Layout:
    """Sizes of a parameter by the meaning of its axes.

    Args:
        axes: The axis string.
        fan_in: Number of inputs that one output sums over, of one expert.
        fan_out: Number of outputs that one input reaches, of one expert.
        experts: Number of experts along an axis, `None` without such an axis.
        inputs: Product of the `i` axes; `None` without one.
        outputs: Product of the `o` axes, divided by what is fused; `None` without one.
    """

    axes: str
    fan_in: int
    fan_out: int
    experts: int | None
    inputs: int | None
    outputs: int | None


def default_axes(rank: int) -> str:
    """`o` for vectors, `o i` for matrices and `o i k ...` above, as PyTorch's layers have them."""
    return " ".join(["o", "i", *["k"] * (rank - 2)][:rank])


def layout(name: str, axes: str, shape: Sequence[int]) -> Layout:
    """Read an axis string against a shape.

    Raises:
        InvalidProblem: If the string has an unknown letter, or its length or fused factor does not
            fit the shape; the message names the parameter.
    """
    tokens = _parse(name, axes)
    if len(tokens) != len(shape):
        raise InvalidProblem(
            f"Parameter {name!r} has shape {tuple(shape)}, but its axes {axes!r} name "
            f"{len(tokens)} axes; name one letter for each axis in the rule."
        )
    sizes: dict[str, list[int]] = {letter: [] for letter in "eiokvx"}
    for (factor, letter), size in zip(tokens, shape, strict=True):
        if size % factor:
            raise InvalidProblem(
                f"Parameter {name!r} has shape {tuple(shape)}, whose axis of size {size} cannot "
                f"hold {factor} fused parts as its axes {axes!r} say; correct the rule."
            )
        sizes[letter].append(size // factor)
    fused = prod(factor for factor, letter in tokens if letter == "o")
    return Layout(
        axes=axes,
        fan_in=prod(sizes["i"]) * prod(sizes["k"]),
        fan_out=prod(sizes["o"]) * prod(sizes["x"]) * fused,
        experts=prod(sizes["e"]) if sizes["e"] else None,
        inputs=prod(sizes["i"]) if sizes["i"] else None,
        outputs=prod(sizes["o"]) if sizes["o"] else None,
    )


def expert_axis(axes: str) -> int | None:
    """Which axis counts the experts, `None` if none does."""
    letters = [letter for _, letter in _parse("", axes)]
    return letters.index("e") if "e" in letters else None


def _parse(name: str, axes: str) -> list[tuple[int, str]]:
    """Factor and letter of each axis."""
    rest = _TOKEN.sub("", axes)
    if rest.strip():
        raise InvalidProblem(
            f"The axes {axes!r} of {name!r} hold {rest.strip()!r}; use e (experts), i (input), "
            "o (output), k (kernel), v (look-up), x (any output) or a fused one such as (2 o)."
        )
    return [(int(m[1] or 1), m[2] or m[3]) for m in _TOKEN.finditer(axes)]
