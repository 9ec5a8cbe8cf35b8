"""A progress bar on the error stream, shown only where a person can see it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from orderparam.support.later import rich_console, rich_progress


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
    console = rich_console.Console(file=sys.stderr)
    if not (enabled and console.is_terminal):
        yield lambda units=1: None
        return
    columns = (
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TimeRemainingColumn(),
    )
    with rich_progress.Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda units=1: bar.advance(task, units)
