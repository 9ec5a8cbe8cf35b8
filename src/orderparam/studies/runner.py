"""Running a study: solve and train each case, compare, draw and report, keeping what is done."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orderparam as op
from orderparam.comparison import Comparison
from orderparam.contract import Family
from orderparam.errors import CorruptFile, OrderParamError
from orderparam.results import Solution, Verdict
from orderparam.studies.building import builder as builder_of
from orderparam.studies.cases import Case, build_cases, estimate
from orderparam.studies.drawing import draw
from orderparam.studies.environment import environment
from orderparam.studies.findings import findings
from orderparam.studies.outcome import Outcome, summary
from orderparam.studies.report import report
from orderparam.studies.schema import Source, Study
from orderparam.studies.store import Entry, Run, open_run
from orderparam.studies.summary import SUMMARY, read_summary_file
from orderparam.studies.toml_text import dump

Say = Callable[[str], None]


@dataclass(frozen=True)
class Finished:
    """A study that ran to its end.

    Args:
        folder: The run folder.
        summary: What `comparison.json` says, as plain values.
    """

    folder: Path
    summary: dict[str, Any]


def run_study(
    study: Study,
    source: Source,
    *,
    store: Path,
    force: bool = False,
    progress: bool = True,
    say: Say = lambda text: None,
) -> Finished:
    """Run a study, or finish one that was interrupted.

    Results that the store holds already are loaded instead of computed.

    Args:
        study: The resolved study.
        source: Where its values came from, for messages.
        store: The folder of runs.
        force: Compute everything again.
        progress: Show progress bars.
        say: Receives one line of text for people at each stage.

    Returns:
        The run folder and the verdicts.

    Raises:
        InvalidProblem: Before any work, for a mistake in the study.
        MissingExtra: Before any work, if an experiment needs a package that is not installed.
        Busy: If another process runs the same study in this store.
    """
    builder = builder_of(study, source)
    builder.check_names(study)
    cases = build_cases(study, builder)
    if study.experiment is not None:
        for case in cases:
            case.built.problem.require_packages()
    _announce(study, cases, say)
    resolved = study.model_dump(mode="json", exclude={"quick"})
    inputs = {key: value for key, value in resolved.items() if key in _DECIDING}
    with open_run(store, study.name, inputs, force=force) as run:
        run.write("study.toml", dump(resolved))
        _report_damage(run, say)
        damaged = run.plan(
            [{"case": case.number, "label": case.label, "values": case.values} for case in cases],
            [entry for case in cases for entry in case.entries],
            _fingerprint_of,
        )
        for sentence in damaged:
            say(sentence)
        steps = _Steps(run, study, progress, say, reuse=not force)
        outcomes = [steps.outcome(case) for case in cases]
        return _finish(run, study, outcomes, builder.family)


def _fingerprint_of(path: Path) -> str:
    """The fingerprint that a result carries; empty where it cannot be read."""
    try:
        return str(op.load(path).dataset.attrs.get("fingerprint", ""))
    except CorruptFile:
        return ""


def _report_damage(run: Run, say: Say) -> None:
    """Say where the verdicts of an earlier run cannot be read; they are written anew anyway."""
    try:
        read_summary_file(run.folder)
    except FileNotFoundError:
        return
    except CorruptFile as error:
        say(f"{str(error).partition(';')[0]}; it is made anew from the results.")


def _announce(study: Study, cases: Sequence[Case], say: Say) -> None:
    """Say what the study needs before it starts."""
    number = "1 case" if len(cases) == 1 else f"{len(cases)} cases"
    say(f"{study.title}: {number}. Theory: {estimate(cases)}.")
    if study.experiment is not None:
        say(f"Experiment: {study.experiment.sizes()}, seeds {study.experiment.seeds}.")
    if study.time_needed:
        say(f"Time of the study as it comes: {study.time_needed}.")


_DECIDING = ("problem", "vary", "theory", "experiment", "save", "seed")


@dataclass(frozen=True)
class _Steps:
    """The work on single cases.

    Args:
        run: Holds the results.
        study: Holds the seed.
        progress: Show progress bars.
        say: Receives lines for people.
        reuse: Take results of other runs in the store.
    """

    run: Run
    study: Study
    progress: bool
    say: Say
    reuse: bool

    def outcome(self, case: Case) -> Outcome:
        """Theory, experiment and comparison of a case; its errors are recorded, not raised."""
        theory: Solution | None = None
        experiment: Solution | None = None
        comparison: Comparison | None = None
        try:
            theory = self._kept(case.theory, f"theory, {case.label}", lambda: self._solve(case))
            if case.experiment is not None:
                experiment = self._kept(
                    case.experiment, f"experiment, {case.label}", lambda: self._simulate(case)
                )
                comparison = op.compare(theory, experiment)
        except OrderParamError as error:
            self.say(f"{case.label}: {error}")
            return Outcome(case, theory, experiment, comparison, str(error))
        return Outcome(case, theory, experiment, comparison, "")

    def _kept(self, entry: Entry, what: str, compute: Callable[[], Solution]) -> Solution:
        """A result from the store, or computed and saved at once."""
        found = self.run.result(entry, op.load, elsewhere=self.reuse)
        if found is not None:
            self.say(f"Found {what}.")
            return found
        self.say(f"Computing {what}.")
        solution = compute()
        if solution.verdict is Verdict.CANCELLED:
            raise KeyboardInterrupt
        marked = solution.dataset.assign_attrs(fingerprint=entry.fingerprint)
        Solution(marked).save(self.run.folder / entry.file)
        return solution

    def _solve(self, case: Case) -> Solution:
        """The theory, with its verdict instead of an exception."""
        built = case.built
        return op.solve(
            built.problem,
            built.method,
            save=built.save,
            seed=self.study.seed,
            progress=self.progress,
            throw=False,
        )

    def _simulate(self, case: Case) -> Solution:
        """The experiment."""
        return op.simulate(
            case.built.problem,
            **case.sizes,
            save=case.built.save,
            seed=self.study.seed,
            progress=self.progress,
        )


def _finish(run: Run, study: Study, outcomes: Sequence[Outcome], family: Family) -> Finished:
    """Write what follows from the results: table, figures, circumstances and report."""
    content = summary(study, outcomes, findings(study, family.claims, outcomes))
    where = environment(outcomes)
    run.write_json(SUMMARY, content)
    run.write_json("environment.json", where)
    figures = draw(run, study.figures, family.figures, outcomes)
    run.write("report.html", report(study, content, figures, where, outcomes))
    return Finished(run.folder, content)
