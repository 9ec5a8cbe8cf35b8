"""What all commands share: exit codes, messages of errors, and output for people and programs."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from orderparam.errors import InvalidProblem, NotConverged, OrderParamError, UnsupportedCombination

FAILED, USAGE, NOT_CONVERGED, INTERRUPTED = 1, 2, 3, 130
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on the output and nothing else.")
]


@contextmanager
def explained(as_json: bool) -> Iterator[None]:
    """Turn the library's errors into one sentence and an exit code."""
    try:
        yield
    except OrderParamError as error:
        if as_json:
            print_json({"error": type(error).__name__, "message": str(error)})
        typer.echo(f"Error: {error}", err=True)
        if isinstance(error, NotConverged):
            raise typer.Exit(NOT_CONVERGED) from None
        usage = isinstance(error, InvalidProblem | UnsupportedCombination)
        raise typer.Exit(USAGE if usage else FAILED) from None
    except KeyboardInterrupt:
        typer.echo(
            "Interrupted. Finished parts are kept; the same command continues with the next one.",
            err=True,
        )
        raise typer.Exit(INTERRUPTED) from None


def say(text: str) -> None:
    """A line for people, on the error stream."""
    typer.echo(text, err=True)


def print_json(content: Any) -> None:
    """The one document of `--json`."""
    sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
