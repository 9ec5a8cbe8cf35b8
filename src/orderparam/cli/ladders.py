"""The commands `check` and `transfer`: ladders of models that are trained and measured."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from orderparam.cli.scale import read_choices, warnings_in_reports
from orderparam.cli.terminal import FAILED, AsJson, explained, print_json
from orderparam.errors import InvalidProblem

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="mlp-mixture, transformer-mixture, or module:function of a builder."
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="An argument of the builder; repeatable."),
]
Folder = Annotated[Path, typer.Option("--out", help="Where tables and figures go.")]


def check(
    model: Model,
    parameterizations: Annotated[
        str, typer.Option("--param", help="Parameterizations, joined by commas.")
    ] = "mssp",
    sizes: Annotated[str, typer.Option(help="Scale factors, joined by commas.")] = "1,2,4,8",
    steps: Annotated[str, typer.Option(help="Updates after which to measure.")] = "0,1,5,20",
    seeds: Annotated[int, typer.Option(min=1, help="Runs of every size.")] = 3,
    settings: Settings = None,
    out: Folder = Path("check"),
    as_json: AsJson = False,
) -> None:
    """Check on a ladder of sizes that nothing in a model grows or vanishes with size."""
    with explained(as_json), warnings_in_reports():
        from orderparam.experts.evidence.coordinate_check import coordinate_check
        from orderparam.experts.models.find import find_builder

        builder, results = find_builder(model), {}
        for name in parameterizations.split(","):
            done = coordinate_check(
                builder,
                sizes=_integers("sizes", sizes),
                steps=_integers("steps", steps),
                seeds=seeds,
                parameterization=name.strip(),
                **read_choices(settings or []),
            )
            done.save(out / name.strip())
            results[name.strip()] = done.plain()
            if not as_json:
                _print_check(name.strip(), done)
        if as_json:
            print_json({"folder": str(out), "checks": results})
        else:
            print(f"Tables and figures: {out}")
        raise typer.Exit(0 if all(r["passed"] for r in results.values()) else FAILED)


def transfer(
    model: Model,
    parameterizations: Annotated[
        str, typer.Option("--param", help="Parameterizations, joined by commas.")
    ] = "mssp",
    sizes: Annotated[str, typer.Option(help="Scale factors, joined by commas.")] = "1,2,4",
    factors: Annotated[
        str, typer.Option(help="Factors of the base's learning rates, joined by commas.")
    ] = "0.5,1,2",
    steps: Annotated[int, typer.Option(min=1, help="Updates of every run.")] = 80,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of every point.")] = 2,
    settings: Settings = None,
    out: Folder = Path("transfer"),
    as_json: AsJson = False,
) -> None:
    """Sweep learning rates over sizes: does the optimum stay, and does size help?"""
    with explained(as_json), warnings_in_reports():
        from orderparam.experts.evidence.transfer import learning_rate_transfer
        from orderparam.experts.models.find import find_builder

        builder, results = find_builder(model), {}
        for name in parameterizations.split(","):
            done = learning_rate_transfer(
                builder,
                sizes=_integers("sizes", sizes),
                factors=_numbers("factors", factors),
                steps=steps,
                seeds=seeds,
                parameterization=name.strip(),
                **read_choices(settings or []),
            )
            done.save(out / name.strip())
            results[name.strip()] = done.plain()
            if not as_json:
                _print_transfer(name.strip(), done)
        if as_json:
            print_json({"folder": str(out), "sweeps": results})
        raise typer.Exit(0 if all(r["passed"] for r in results.values()) else FAILED)


def _integers(name: str, text: str) -> list[int]:
    """Whole numbers joined by commas."""
    numbers = _numbers(name, text)
    if any(number != int(number) for number in numbers):
        raise InvalidProblem(f"Option --{name} takes whole numbers, but is {text!r}; write 1,2,4.")
    return [int(number) for number in numbers]


def _numbers(name: str, text: str) -> list[float]:
    """Numbers joined by commas."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InvalidProblem(
            f"Option --{name} takes numbers joined by commas, but is {text!r}; write 1,2,4."
        ) from None


def _print_check(name: str, done: Any) -> None:
    """What failed, or that nothing did."""
    judged = [line for line in done.exponents if line.verdict != "not judged"]
    table = Table("observable", "updates", "exponent", "expected", "drift", "verdict", box=None)
    for line in judged:
        error = "" if line.se != line.se else f" ({line.se:.2f})"
        table.add_row(
            line.observable, str(line.step), f"{line.slope:+.2f}{error}", f"{line.predicted:+.2f}",
            f"x {line.drift:.2f}", line.verdict,
        )  # fmt: skip
    Console().print(table)
    verdict = "pass" if done.passed else f"FAIL ({len(done.failures)} of {len(judged)})"
    print(f"{name}, regime {done.plan.regime}: {verdict}")


def _print_transfer(name: str, done: Any) -> None:
    """Losses by size and learning rate, and the two verdicts."""
    table = Table("size", *[f"x {factor:g}" for factor in done.factors], "best", box=None)
    for size, losses, best in zip(done.sizes, done.loss.mean(axis=2), done.optima, strict=True):
        table.add_row(str(size), *[f"{loss:.3g}" for loss in losses], f"{best.factor:.3g}")
    Console().print(table)
    print(
        f"{name}: {done.sentence}; the best loss "
        f"{'improves' if done.improves else 'does NOT improve'} with size."
    )


COMMANDS = (check, transfer)
