"""Results: labelled solutions, their files, and the decision whether theory meets experiment."""

from orderparam.results.build import Coordinate, Variable, build_solution
from orderparam.results.citation import citation
from orderparam.results.comparison import Comparison, Row, compare
from orderparam.results.finding import Finding, judged
from orderparam.results.sizes import SIZES
from orderparam.results.solution import Solution, load
from orderparam.results.verdict import Verdict

__all__ = [
    "SIZES",
    "Comparison",
    "Coordinate",
    "Finding",
    "Row",
    "Solution",
    "Variable",
    "Verdict",
    "build_solution",
    "citation",
    "compare",
    "judged",
    "load",
]
