"""Finite-width fluctuations: what the verbs, studies and checks need of this family."""

from orderparam.contract import Family, Kind
from orderparam.fluctuations.evidence.claims import CLAIMS
from orderparam.fluctuations.evidence.figures import FIGURES, SYMBOLS
from orderparam.fluctuations.evidence.overview import overview
from orderparam.fluctuations.experiment.simulate import simulate
from orderparam.fluctuations.methods.default import default_method
from orderparam.fluctuations.problem import FiniteWidth
from orderparam.results.citation import NEURIPS, Source, arxiv

CITATIONS = {
    "bordelon2023": Source(
        "inproceedings",
        {
            "author": "Bordelon, Blake and Pehlevan, Cengiz",
            "title": "Dynamics of Finite Width Kernel and Prediction Fluctuations in Mean Field "
            "Neural Networks",
            "booktitle": NEURIPS,
            "year": "2023",
            **arxiv("2304.03408"),
        },
    ),
    "bordelon2022": Source(
        "inproceedings",
        {
            "author": "Bordelon, Blake and Pehlevan, Cengiz",
            "title": "Self-Consistent Dynamical Field Theory of Kernel Evolution in Wide Neural "
            "Networks",
            "booktitle": NEURIPS,
            "year": "2022",
            **arxiv("2205.09653"),
        },
    ),
}

FAMILY = Family(
    name="fluctuations",
    public="orderparam.fluctuations",
    kinds=(
        Kind(
            problem=FiniteWidth,
            default_method=default_method,
            experiment=simulate,
            size="width",
            system="ensembles of networks",
            options=("limit", "control"),
        ),
    ),
    parts=("orderparam.kernels",),
    figures=FIGURES,
    symbols=SYMBOLS,
    claims=CLAIMS,
    citations=CITATIONS,
    overview=overview,
)
