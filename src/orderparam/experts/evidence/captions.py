"""What the figures of this family have in common."""

import numpy as np

from orderparam.experts.theory.exponents import Exponent
from orderparam.results.pair import Pair

NAMES = {"mup": "muP", "mssp": "MSSP", "sp": "standard"}
OPTIMIZERS = {"sgd": "SGD", "adamw": "Adam"}


def half(line: Exponent) -> float:
    """Half of the 95 % interval; 0 where there is none."""
    return 0.0 if np.isnan(line.se) else line.high - line.slope


def is_case(pair: Pair, **wanted: str) -> bool:
    """Whether the problem of a pair has these values."""
    return all(pair.theory.problem[name] == value for name, value in wanted.items())
