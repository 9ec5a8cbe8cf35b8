"""What all commands share: exit codes, messages of errors, and output for people and programs."""

import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from orderparam.cli.signals import Told, code_of, sentence
from orderparam.errors import (
    Busy,
    InvalidProblem,
    NotConverged,
    OrderParamError,
    UnsupportedCombination,
)

FAILED, USAGE, NOT_CONVERGED, BUSY = 1, 2, 3, 4
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
        say(f"Error: {error}")
        raise typer.Exit(_exit_code(error)) from None
    except KeyboardInterrupt as error:
        say(sentence(code_of(error)))
        raise typer.Exit(Told(code_of(error))) from None


def _exit_code(error: OrderParamError) -> int:
    """The exit code that stands for an error."""
    if isinstance(error, Busy):
        return BUSY
    if isinstance(error, NotConverged):
        return NOT_CONVERGED
    return USAGE if isinstance(error, InvalidProblem | UnsupportedCombination) else FAILED


def keep_programs() -> None:
    """Keep what a command compiles for the next one; where that cannot be, say so and go on."""
    from orderparam import keep_compiled  # imports JAX

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        keep_compiled()
    for warning in caught:
        say(f"Warning: {warning.message}")


def say(text: str) -> None:
    """A line for people, on the error stream."""
    print(text, file=sys.stderr)


def print_json(content: Any) -> None:
    """The one document of `--json`, in letters that the output can hold."""
    unicode = str(sys.stdout.encoding).lower().startswith("utf")
    sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=not unicode) + "\n")
