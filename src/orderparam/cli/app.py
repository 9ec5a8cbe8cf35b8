"""The command line: run studies, list them, look at runs, test the installation.

Nothing that computes is imported before a command needs it, so that `list` and `show` are quick.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from orderparam.cli import ladders, scale
from orderparam.cli.terminal import (
    FAILED,
    NOT_CONVERGED,
    AsJson,
    explained,
    keep_programs,
    print_json,
    say,
)

app = typer.Typer(
    name="orderparam",
    help="Order parameters of learning: the theory of the limit beside the trained system.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
Store = Annotated[
    Path, typer.Option("--out", help="The store: a folder that holds one folder for each run.")
]


for command in (*scale.COMMANDS, *ladders.COMMANDS):
    app.command()(command)


@app.command()
def run(
    study: Annotated[str, typer.Argument(help="A built-in study's name, or a TOML file.")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Change a value; may be repeated."),
    ] = None,
    quick: Annotated[bool, typer.Option(help="Use the study's smaller sizes.")] = False,
    out: Store = Path("runs"),
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of everything random.")] = None,
    device: Annotated[Literal["cpu", "gpu"] | None, typer.Option(help="Where to compute.")] = None,
    as_json: AsJson = False,
    force: Annotated[bool, typer.Option(help="Compute again what the store has.")] = False,
) -> None:
    """Run a study: theory, networks, comparison, figures and report."""
    with explained(as_json):
        from orderparam.studies import catalog, overrides
        from orderparam.studies.devices import on_device
        from orderparam.studies.runner import run_study

        changes = [*(settings or ()), *([] if seed is None else [f"seed={seed}"])]
        text, name = catalog.find(study)
        resolved, source = overrides.resolve(text, name, settings=changes, quick=quick)
        keep_programs()
        with on_device(device):
            finished = run_study(resolved, source, store=out, force=force, say=say)
        _show(finished.folder, finished.summary, as_json)
        raise typer.Exit(_exit_code(finished.summary["verdict"]))


@app.command("list")
def list_studies(as_json: AsJson = False) -> None:
    """List the built-in studies."""
    with explained(as_json):
        from orderparam.studies.catalog import builtin

        studies = builtin()
        if as_json:
            fields = {"name", "title", "claim", "time_needed"}
            print_json([study.model_dump(include=fields) for study in studies])
            return
        table = Table("name", "what it shows", "time needed", box=None)
        for study in studies:
            table.add_row(study.name, study.title, study.time_needed)
        Console().print(table)


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="RUN", help="A run folder, or its name.")],
    out: Store = Path("runs"),
    browser: Annotated[bool, typer.Option(help="Open the report in the browser.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the verdicts of a run."""
    with explained(as_json):
        from orderparam.studies.store import find_run, read_summary

        folder = find_run(name, out)
        _show(folder, read_summary(folder), as_json)
        if browser:
            typer.launch(str(folder / "report.html"))


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Report devices and versions, and solve a small problem in two ways."""
    with explained(as_json):
        from orderparam.studies.devices import device_names
        from orderparam.studies.environment import versions
        from orderparam.studies.selftest import self_test

        keep_programs()
        known, devices = versions(), device_names()
        say(f"Devices: {', '.join(devices)}.")
        say(f"Versions: {', '.join(f'{name} {value}' for name, value in known.items())}.")
        test = self_test()
        if as_json:
            result = {**vars(test), "passed": test.passed}
            print_json({"devices": devices, "versions": known, "self_test": result})
        else:
            print(
                f"Self-test {'passed' if test.passed else 'FAILED'} in {test.seconds:.1f} s: the "
                f"sampled loss differs from the exact one by {test.relative:.1e} of its start."
            )
        raise typer.Exit(0 if test.passed else FAILED)


def _exit_code(verdict: str) -> int:
    """The exit code that stands for a study's verdict."""
    return {"error": FAILED, "fail": FAILED, "not converged": NOT_CONVERGED}.get(verdict, 0)


def _show(folder: Path, summary: dict[str, Any], as_json: bool) -> None:
    """A run's verdicts, as a table for people or as JSON."""
    report = folder / "report.html"
    if as_json:
        print_json({"folder": str(folder), "report": str(report), **summary})
        return
    from orderparam.studies.tables import print_summary

    print_summary(summary)
    print(f"Report: {report}")
