"""The command line.

This file is the first that the command runs: it answers signals before anything slow is imported.
"""

from orderparam.cli.signals import answered

__all__ = ["main"]


def main() -> None:
    """Entry point of the command `orderparam`."""
    with answered():
        from orderparam.cli.app import app

        app()
