"""The cases of a study: each with its problem, its method and the files of its results."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import orderparam as op
from orderparam.results.plain import plain
from orderparam.studies.building import Builder, Built
from orderparam.studies.overrides import with_case
from orderparam.studies.schema import Source, Study, validate
from orderparam.studies.store import Entry, fingerprint


@dataclass(frozen=True)
class Case:
    """One combination of the varied values.

    Args:
        number: From 1, in the names of the files of results that it is the first to need.
        values: The varied values by path.
        symbol: The values as mathematics for figures.
        built: Problem, method and save plan.
        theory: The theory's file and fingerprint; cases with the same theory share it.
        experiment: The experiment's, shared alike; `None` without one.
        sizes: The arguments of `simulate` for it.
    """

    number: int
    values: Mapping[str, Any]
    symbol: str
    built: Built
    theory: Entry
    experiment: Entry | None
    sizes: Mapping[str, Any]

    @property
    def label(self) -> str:
        """The values in words, such as "gamma0 = 1.0"."""
        parts = (f"{path.rpartition('.')[2]} = {value}" for path, value in self.values.items())
        return ", ".join(parts) or "the only case"

    @property
    def entries(self) -> list[Entry]:
        """All results of the case."""
        return [entry for entry in (self.theory, self.experiment) if entry is not None]


def build_cases(study: Study, builder: Builder) -> list[Case]:
    """Every case of a study, checked before any work starts.

    Args:
        study: The resolved study.
        builder: Builds its cases.

    Raises:
        InvalidProblem: For an unknown key, a wrong value or an impossible save plan.
    """
    values = study.model_dump()
    first: dict[str, Entry] = {}
    cases = []
    for number, chosen in enumerate(study.cases(), start=1):
        single = validate(with_case(values, chosen), builder.source)
        case = _case(number, chosen, study, builder, single)
        theory = first.setdefault(case.theory.fingerprint, case.theory)
        experiment = case.experiment
        if experiment is not None:
            experiment = first.setdefault(experiment.fingerprint, experiment)
        cases.append(replace(case, theory=theory, experiment=experiment))
    return cases


def estimate(cases: Sequence[Case]) -> str:
    """Memory and time of the theory of all cases, in words."""
    distinct = {case.theory.file: case.built for case in cases}.values()
    costs = [op.estimate(b.problem, b.method, save=b.save) for b in distinct]
    memory = max(cost.memory for cost in costs) / 2**20
    seconds = sum(cost.seconds for cost in costs)
    # Cases that differ in numbers alone share one program.
    compilation = max(cost.compilation for cost in costs)
    return f"about {memory:.0f} MiB and {seconds + compilation:.0f} s, compilation included"


def _case(
    number: int, chosen: Mapping[str, Any], study: Study, builder: Builder, single: Study
) -> Case:
    """Build one case; mistakes in varied paths point to `[vary]`."""
    source = builder.source
    places = {tuple(path.split(".")): source.where(("vary", *path.split("."))) for path in chosen}
    pointed = Source(source.name, source.lines, {**source.overrides, **places})
    built = replace(builder, source=pointed).build(single)
    common = {
        "problem": plain(built.problem.config(), "problem"),
        "save": plain(asdict(built.save), "save"),
        "seed": study.seed,
        "version": op.__version__,
    }
    method = plain(built.method.config(), "method")
    theory = Entry(f"theory-{number}.nc", fingerprint({**common, "method": method}))
    experiment = None
    sizes = single.experiment.arguments() if single.experiment is not None else {}
    if sizes:
        networks = fingerprint({**common, "experiment": sizes})
        experiment = Entry(f"experiment-{number}.nc", networks)
    symbols = builder.family.symbols
    symbol = ", ".join(_symbol(path, value, symbols) for path, value in chosen.items())
    return Case(number, chosen, symbol, built, theory, experiment, sizes)


def _symbol(path: str, value: Any, symbols: Mapping[str, str]) -> str:
    """One varied value as mathematics."""
    name = path.rpartition(".")[2]
    if name in symbols and isinstance(value, int | float):
        return f"${symbols[name]} = {value:g}$"
    return f"{name} = {value}"
