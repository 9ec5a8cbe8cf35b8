"""Kernel evolution: what the verbs, studies and checks need of this family."""

from orderparam.contract import Family, Kind
from orderparam.kernels.evidence.claims import CLAIMS
from orderparam.kernels.evidence.figures import FIGURES, SYMBOLS
from orderparam.kernels.evidence.overview import overview
from orderparam.kernels.experiment.simulate import simulate
from orderparam.kernels.methods.default import default_method
from orderparam.kernels.problem import KernelEvolution
from orderparam.results.citation import NEURIPS, Source, arxiv

CITATIONS = {
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
    "bolthausen2014": Source(
        "article",
        {
            "author": "Bolthausen, Erwin",
            "title": "An Iterative Construction of Solutions of the {TAP} Equations for the "
            "{Sherrington--Kirkpatrick} Model",
            "journal": "Communications in Mathematical Physics",
            "volume": "325",
            "number": "1",
            "pages": "333--366",
            "year": "2014",
            "doi": "10.1007/s00220-013-1862-3",
        },
    ),
    "yang2021": Source(
        "inproceedings",
        {
            "author": "Yang, Greg and Hu, Edward J.",
            "title": "Tensor Programs {IV}: Feature Learning in Infinite-Width Neural Networks",
            "booktitle": "International Conference on Machine Learning",
            "year": "2021",
            **arxiv("2011.14522"),
        },
    ),
}

FAMILY = Family(
    name="kernels",
    public="orderparam.kernels",
    kinds=(
        Kind(
            problem=KernelEvolution,
            default_method=default_method,
            experiment=simulate,
            size="width",
            system="networks",
            options=("parameterization",),
        ),
    ),
    figures=FIGURES,
    symbols=SYMBOLS,
    claims=CLAIMS,
    citations=CITATIONS,
    overview=overview,
)
