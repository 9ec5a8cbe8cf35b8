"""One-pass SGD: what the verbs, studies and checks need of this family."""

from orderparam.contract import Family, Kind
from orderparam.online.evidence.claims import CLAIMS
from orderparam.online.evidence.figures import FIGURES, SYMBOLS
from orderparam.online.evidence.overview import overview
from orderparam.online.experiment.simulate import OPTIONS, simulate_students
from orderparam.online.methods.ode import OverlapODE
from orderparam.online.model.activations import RENAMED
from orderparam.online.problem import TeacherStudent
from orderparam.results.citation import Source, arxiv

CITATIONS = {
    "bocchi2026": Source(
        "misc",
        {
            "author": "Bocchi, Dario and Regimbeau, Theotime and Lucibello, Carlo and "
            "Saglietti, Luca and Cammarota, Chiara",
            "title": "Escape dynamics and implicit bias of one-pass {SGD} in overparameterized "
            "quadratic networks",
            "year": "2026",
            **arxiv("2604.03068"),
        },
    ),
    "saad1995": Source(
        "article",
        {
            "author": "Saad, David and Solla, Sara A.",
            "title": "On-Line Learning in Soft Committee Machines",
            "journal": "Physical Review E",
            "volume": "52",
            "number": "4",
            "pages": "4225--4243",
            "year": "1995",
            "doi": "10.1103/PhysRevE.52.4225",
        },
    ),
}

FAMILY = Family(
    name="online",
    public="orderparam.online",
    kinds=(
        Kind(
            problem=TeacherStudent,
            default_method=lambda problem: OverlapODE(),
            experiment=simulate_students,
            size="dimension",
            system="students",
            options=OPTIONS,
        ),
    ),
    figures=FIGURES,
    symbols=SYMBOLS,
    claims=CLAIMS,
    citations=CITATIONS,
    overview=overview,
    renamed={"activation": RENAMED},
)
