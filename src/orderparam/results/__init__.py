"""Results: labelled solutions, their files, and what they cite."""

from orderparam.results.build import Coordinate, Variable, build_solution
from orderparam.results.citation import Source
from orderparam.results.finding import Finding, judged
from orderparam.results.pair import Pair
from orderparam.results.sizes import SIZES
from orderparam.results.solution import Solution, load
from orderparam.results.verdict import Verdict

__all__ = [
    "SIZES",
    "Coordinate",
    "Finding",
    "Pair",
    "Solution",
    "Source",
    "Variable",
    "Verdict",
    "build_solution",
    "judged",
    "load",
]
