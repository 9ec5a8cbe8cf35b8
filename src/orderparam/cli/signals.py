"""Ctrl-C and the request to end, answered at any moment with one sentence and one exit code.

Python tells its own code of a signal once compiled code returns, and that may take as long as a
compilation; code of others may swallow the exception. So an exception is tried first, which lets
files and the terminal be left in order, and after `GRACE` seconds a thread ends the process. What
is on the disk is whole whenever that happens. Only small modules are imported here, since a signal
can come while the large ones are.
"""

import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

GRACE = 2.0
"""Seconds in which the process may end by itself."""

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
"""Exit codes: 128 and the number of the signal."""

_WORDS = {130: "Interrupted.", 143: "Ended on request."}
_KEPT = "Finished parts are kept; the same command continues with the next one."


class Told(int):
    """An exit code whose sentence has been said."""


class Terminated(KeyboardInterrupt):
    """The system asks the process to end."""


def sentence(code: int) -> str:
    """What a command says when a signal ends it."""
    return f"{_WORDS[code]} {_KEPT}"


def code_of(error: KeyboardInterrupt) -> int:
    """The exit code for an interruption."""
    return CODES[signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT]


@contextmanager
def answered() -> Iterator[None]:
    """Run a command; a signal ends the process with its sentence and its exit code."""
    ending = _Ending()
    listening, speaking = os.pipe()
    os.set_blocking(speaking, False)
    signal.set_wakeup_fd(speaking, warn_on_full_buffer=False)
    threading.Thread(target=ending.watch, args=(listening,), daemon=True).start()
    for number in CODES:
        # A process in the background may have been told to ignore one of them.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, ending.interrupt)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal cannot show becomes "?"
            stream.reconfigure(errors="replace")
    try:
        yield
    except BaseException as error:
        ending.end_by(error)
        raise
    ending.end_by(None)


class _Ending:
    """What came, and the way out."""

    def __init__(self) -> None:
        self.code = 0
        self.told = False
        self.owner = os.getpid()

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """The first signal raises an exception, the second ends the process."""
        if self.code:
            self.leave()
        self.code = CODES[signal.Signals(number)]
        sys.unraisablehook = lambda unraisable: None  # an exception in a finaliser goes nowhere
        raise Terminated if self.code == CODES[signal.SIGTERM] else KeyboardInterrupt

    def watch(self, listening: int) -> None:
        """Wait for a signal in a thread of its own, and end what does not end."""
        number = os.read(listening, 1)[0]
        while number not in CODES:
            number = os.read(listening, 1)[0]
        threading.Event().wait(GRACE)
        self.code = self.code or CODES[signal.Signals(number)]
        self.leave()

    def end_by(self, error: BaseException | None) -> None:
        """After a signal, end as it asks, whatever the exception became on its way."""
        self.told = isinstance(error, SystemExit) and isinstance(error.code, Told)
        if self.code and not self.told:
            self.leave()
        # From here on nothing is left to be put in order.
        for number in CODES:
            if signal.getsignal(number) == self.interrupt:
                signal.signal(number, self.at_once)

    def at_once(self, number: int, frame: FrameType | None) -> None:
        """End without an exception, which nobody would receive."""
        self.code = CODES[signal.Signals(number)]
        self.leave()

    def leave(self) -> None:
        """Say the sentence and end the process, and with it its threads."""
        if not self.told and os.getpid() == self.owner:
            cursor = "\x1b[?25h" if os.isatty(2) else ""  # a progress bar hides it
            os.write(2, f"{cursor}{sentence(self.code)}\n".encode())
        os._exit(self.code)
