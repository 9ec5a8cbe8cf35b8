"""Scaling of mixtures of experts: what the verbs, studies and checks need of this family."""

from orderparam.contract import Family, Kind
from orderparam.experts.evidence.claims import CLAIMS
from orderparam.experts.evidence.figures import FIGURES, SYMBOLS
from orderparam.experts.evidence.overview import overview
from orderparam.experts.experiment.simulate import simulate_ladder, simulate_transfer, simulate_trap
from orderparam.experts.methods.counting import Counting
from orderparam.experts.problem import Ladder, Transfer
from orderparam.experts.traps import Trap
from orderparam.results.citation import Source, arxiv

CITATIONS = {
    "vankadara2026": Source(
        "misc",
        {
            "author": "Vankadara, Leena Chennuru and Haas, Moritz and Hayward, Luke and "
            "Bordt, Sebastian and Breccia, Alessandro",
            "title": "How to Scale Mixture-of-Experts: From {muP} to the Maximally Scale-Stable "
            "Parameterization",
            "year": "2026",
            **arxiv("2605.14200"),
        },
    ),
}

FAMILY = Family(
    name="experts",
    public="orderparam.experts",
    kinds=tuple(
        Kind(problem, lambda problem: Counting(), experiment, size="size", system="ladders")
        for problem, experiment in (
            (Ladder, simulate_ladder),
            (Transfer, simulate_transfer),
            (Trap, simulate_trap),
        )
    ),
    figures=FIGURES,
    symbols=SYMBOLS,
    claims=CLAIMS,
    citations=CITATIONS,
    overview=overview,
)
