"""A progress bar on the error stream, shown only where a person can see it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def progress(total: int, label: str, enabled: bool) -> Iterator[Callable[..., None]]:
    """Show how much of a long computation is done.

    Args:
        total: Number of units of work.
        label: What is being done, in a few words.
        enabled: Whether the caller wants a bar; none is drawn where the error stream is not a
            terminal.

    Yields:
        A function to call with the number of units that have just been finished (default 1).
    """
    console = Console(file=sys.stderr)
    if not (enabled and console.is_terminal):
        yield lambda units=1: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda units=1: bar.advance(task, units)
