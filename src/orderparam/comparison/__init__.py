"""Theory beside experiment: whether they agree, variable by variable."""

from orderparam.comparison.compare import compare
from orderparam.comparison.table import Comparison, Row

__all__ = ["Comparison", "Row", "compare"]
