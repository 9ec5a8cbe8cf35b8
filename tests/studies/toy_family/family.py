"""What the verbs and studies need of the family."""

from orderparam.contract import Family, Kind
from orderparam.results import Source
from toy_family.evidence.claims import CLAIMS
from toy_family.evidence.figures import FIGURES, SYMBOLS
from toy_family.experiment.simulate import simulate
from toy_family.methods.formula import Formula
from toy_family.problem import Decay

FAMILY = Family(
    name="toy",
    public="toy_family",
    kinds=(Kind(Decay, lambda problem: Formula(), simulate, size="width", system="decays"),),
    figures=FIGURES,
    symbols=SYMBOLS,
    claims=CLAIMS,
    citations={"toy2026": Source("misc", {"title": "A Decay", "year": "2026"})},
)
