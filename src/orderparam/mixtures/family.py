"""Gaussian mixtures: what the verbs, studies and checks need of this family."""

from orderparam.contract import Family, Kind
from orderparam.mixtures.evidence.claims import CLAIMS
from orderparam.mixtures.evidence.figures import FIGURES, SYMBOLS
from orderparam.mixtures.evidence.overview import overview
from orderparam.mixtures.experiment.messages import simulate_messages
from orderparam.mixtures.experiment.simulate import simulate_fits
from orderparam.mixtures.methods.default import default_method
from orderparam.mixtures.methods.engine_evolution import EngineEvolution
from orderparam.mixtures.methods.state_evolution import StateEvolution
from orderparam.mixtures.model.smooth import RENAMED_LOSSES
from orderparam.mixtures.passing import MessagePassing
from orderparam.mixtures.problem import MixtureERM
from orderparam.results.citation import NEURIPS, Source, arxiv

CITATIONS = {
    "loureiro2021": Source(
        "inproceedings",
        {
            "author": "Loureiro, Bruno and Sicuro, Gabriele and Gerbelot, C{\\'e}dric and "
            "Pacco, Alessandro and Krzakala, Florent and Zdeborov{\\'a}, Lenka",
            "title": "Learning {Gaussian} Mixtures with Generalised Linear Models: Precise "
            "Asymptotics in High-dimensions",
            "booktitle": NEURIPS,
            "year": "2021",
            **arxiv("2106.03791"),
        },
    ),
    "bayati2011": Source(
        "article",
        {
            "author": "Bayati, Mohsen and Montanari, Andrea",
            "title": "The Dynamics of Message Passing on Dense Graphs, with Applications to "
            "Compressed Sensing",
            "journal": "IEEE Transactions on Information Theory",
            "volume": "57",
            "number": "2",
            "pages": "764--785",
            "year": "2011",
            "doi": "10.1109/TIT.2010.2094817",
        },
    ),
    "berthier2020": Source(
        "article",
        {
            "author": 'Berthier, Rapha{\\"e}l and Montanari, Andrea and Nguyen, Phan-Minh',
            "title": "State Evolution for Approximate Message Passing with Non-Separable Functions",
            "journal": "Information and Inference: A Journal of the IMA",
            "volume": "9",
            "number": "1",
            "pages": "33--79",
            "year": "2020",
            **arxiv("1708.03950"),
        },
    ),
}

FAMILY = Family(
    name="mixtures",
    public="orderparam.mixtures",
    kinds=(
        Kind(
            problem=MixtureERM,
            default_method=default_method,
            experiment=simulate_fits,
            size="dimension",
            system="classifiers",
        ),
        Kind(
            problem=MessagePassing,
            default_method=lambda problem: (
                EngineEvolution() if problem.damping else StateEvolution()
            ),
            experiment=simulate_messages,
            size="dimension",
            system="classifiers",
        ),
    ),
    figures=FIGURES,
    symbols=SYMBOLS,
    claims=CLAIMS,
    citations=CITATIONS,
    overview=overview,
    renamed={"loss": RENAMED_LOSSES},
)
