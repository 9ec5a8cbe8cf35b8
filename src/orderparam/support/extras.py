"""Packages that only some users need, imported where they are used."""

from importlib import import_module
from typing import Any

from orderparam.errors import MissingExtra


def needed(package: str, extra: str) -> Any:
    """Import an optional package.

    Args:
        package: Its import name.
        extra: The extra of this library that installs it.

    Raises:
        MissingExtra: If it is not installed.
    """
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"This part of orderparam needs the package {package!r}, which is not installed; "
            f"install the extra: pip install 'orderparam[{extra}]'."
        ) from error
