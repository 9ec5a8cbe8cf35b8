"""The command line."""

from orderparam.cli.app import main

__all__ = ["main"]
