"""Heavy packages of others, imported when something of them is first used.

Together they take longer to import than JAX, and a solve needs few of them. Import the module from
here and name its contents in full, `special.ndtr(x)`, inside functions alone: a name that is looked
up while a file is imported (an annotation, a base class) imports the package. `Figure` and `Axes`
are for annotations alone: to a type checker the classes, at run time references by name.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, ForwardRef

__all__ = [
    "Axes",
    "Figure",
    "diffrax",
    "h5netcdf",
    "h5py",
    "integrate",
    "interpolate",
    "linalg",
    "matplotlib",
    "mpl_agg",
    "mpl_colors",
    "mpl_figure",
    "mpl_lines",
    "mpl_ticker",
    "optimize",
    "rich_console",
    "rich_progress",
    "rich_table",
    "special",
    "stats",
]


class _Later:
    """Stands for a module, and imports it for the first name that is looked up in it."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        """The name's value in the module."""
        return getattr(import_module(self._module), name)


if TYPE_CHECKING:
    import diffrax
    import h5netcdf
    import h5py
    import matplotlib
    from matplotlib import colors as mpl_colors
    from matplotlib import figure as mpl_figure
    from matplotlib import lines as mpl_lines
    from matplotlib import ticker as mpl_ticker
    from matplotlib.axes import Axes
    from matplotlib.backends import backend_agg as mpl_agg
    from matplotlib.figure import Figure
    from rich import console as rich_console
    from rich import progress as rich_progress
    from rich import table as rich_table
    from scipy import integrate, interpolate, linalg, optimize, special, stats
else:
    diffrax = _Later("diffrax")
    h5netcdf = _Later("h5netcdf")
    h5py = _Later("h5py")
    matplotlib = _Later("matplotlib")
    mpl_agg = _Later("matplotlib.backends.backend_agg")
    mpl_colors = _Later("matplotlib.colors")
    mpl_figure = _Later("matplotlib.figure")
    mpl_lines = _Later("matplotlib.lines")
    mpl_ticker = _Later("matplotlib.ticker")
    Axes = ForwardRef("matplotlib.axes.Axes")
    Figure = ForwardRef("matplotlib.figure.Figure")
    rich_console = _Later("rich.console")
    rich_progress = _Later("rich.progress")
    rich_table = _Later("rich.table")
    integrate = _Later("scipy.integrate")
    interpolate = _Later("scipy.interpolate")
    linalg = _Later("scipy.linalg")
    optimize = _Later("scipy.optimize")
    special = _Later("scipy.special")
    stats = _Later("scipy.stats")
