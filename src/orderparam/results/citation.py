"""BibTeX entries of the works that a result builds on."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Protocol, runtime_checkable

from orderparam.errors import InvalidProblem


@runtime_checkable
class Cited(Protocol):
    """Anything that names its sources: a solution or a comparison."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Keys of the works it builds on."""
        ...


def citation(result: Cited) -> str:
    """BibTeX of everything that `result` used.

    Args:
        result: A solution or a comparison.

    Returns:
        One entry per source, separated by empty lines, ready for a `.bib` file.

    Raises:
        InvalidProblem: If a source is unknown to this version of the library.
    """
    return "\n\n".join(_bibtex(key) for key in check_sources(result.sources))


def check_sources(keys: Sequence[str]) -> list[str]:
    """The keys without repetitions; an unknown one is an error that names the nearest known."""
    for key in keys:
        if key not in _ENTRIES:
            near = get_close_matches(key, _ENTRIES, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise InvalidProblem(
                f"The source {key!r} is not known{hint}; use one of {', '.join(_ENTRIES)}."
            )
    return list(dict.fromkeys(keys))


def _bibtex(key: str) -> str:
    """One entry as BibTeX."""
    kind, fields = _ENTRIES[key]
    lines = [f"  {name} = {{{text}}}," for name, text in fields.items()]
    return "\n".join([f"@{kind}{{{key},", *lines, "}"])


def _arxiv(number: str) -> dict[str, str]:
    """The fields of a paper on arXiv."""
    return {"eprint": number, "archivePrefix": "arXiv", "url": f"https://arxiv.org/abs/{number}"}


_NEURIPS = "Advances in Neural Information Processing Systems"

_ENTRIES: dict[str, tuple[str, dict[str, str]]] = {
    "bordelon2022": (
        "inproceedings",
        {
            "author": "Bordelon, Blake and Pehlevan, Cengiz",
            "title": "Self-Consistent Dynamical Field Theory of Kernel Evolution in Wide Neural "
            "Networks",
            "booktitle": _NEURIPS,
            "year": "2022",
            **_arxiv("2205.09653"),
        },
    ),
    "bordelon2023": (
        "inproceedings",
        {
            "author": "Bordelon, Blake and Pehlevan, Cengiz",
            "title": "Dynamics of Finite Width Kernel and Prediction Fluctuations in Mean Field "
            "Neural Networks",
            "booktitle": _NEURIPS,
            "year": "2023",
            **_arxiv("2304.03408"),
        },
    ),
    "lauditi2026": (
        "misc",
        {
            "author": "Lauditi, Clarissa and Pehlevan, Cengiz and Bordelon, Blake",
            "title": "Spectral Dynamics in Deep Networks: Feature Learning, Outlier Escape, and "
            "Learning Rate Transfer",
            "year": "2026",
            **_arxiv("2605.07870"),
        },
    ),
    "vankadara2026": (
        "misc",
        {
            "author": "Vankadara, Leena Chennuru and Haas, Moritz and Hayward, Luke and "
            "Bordt, Sebastian and Breccia, Alessandro",
            "title": "How to Scale Mixture-of-Experts: From {muP} to the Maximally Scale-Stable "
            "Parameterization",
            "year": "2026",
            **_arxiv("2605.14200"),
        },
    ),
    "loureiro2021": (
        "inproceedings",
        {
            "author": "Loureiro, Bruno and Sicuro, Gabriele and Gerbelot, C{\\'e}dric and "
            "Pacco, Alessandro and Krzakala, Florent and Zdeborov{\\'a}, Lenka",
            "title": "Learning {Gaussian} Mixtures with Generalised Linear Models: Precise "
            "Asymptotics in High-dimensions",
            "booktitle": _NEURIPS,
            "year": "2021",
            **_arxiv("2106.03791"),
        },
    ),
    "bocchi2026": (
        "misc",
        {
            "author": "Bocchi, Dario and Regimbeau, Theotime and Lucibello, Carlo and "
            "Saglietti, Luca and Cammarota, Chiara",
            "title": "Escape dynamics and implicit bias of one-pass {SGD} in overparameterized "
            "quadratic networks",
            "year": "2026",
            **_arxiv("2604.03068"),
        },
    ),
    "saad1995": (
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
    "bolthausen2014": (
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
    "bayati2011": (
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
    "berthier2020": (
        "article",
        {
            "author": 'Berthier, Rapha{\\"e}l and Montanari, Andrea and Nguyen, Phan-Minh',
            "title": "State Evolution for Approximate Message Passing with Non-Separable Functions",
            "journal": "Information and Inference: A Journal of the IMA",
            "volume": "9",
            "number": "1",
            "pages": "33--79",
            "year": "2020",
            **_arxiv("1708.03950"),
        },
    ),
    "yang2021": (
        "inproceedings",
        {
            "author": "Yang, Greg and Hu, Edward J.",
            "title": "Tensor Programs {IV}: Feature Learning in Infinite-Width Neural Networks",
            "booktitle": "International Conference on Machine Learning",
            "year": "2021",
            **_arxiv("2011.14522"),
        },
    ),
}
