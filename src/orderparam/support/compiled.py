"""Keeping compiled programs between processes: where, and how it is switched on."""

import hashlib
import os
import platform
import sys
import tempfile
import warnings
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
from jax.experimental.compilation_cache.compilation_cache import reset_cache

from orderparam.support.arguments import checked_path
from orderparam.support.keywords import known_keywords
from orderparam.support.program_folder import ProgramFolder

VARIABLE = "ORDERPARAM_CACHE"
"""Environment variable: another folder, or `off`."""

LIMIT = 2**30
"""Bytes that the kept programs may take."""

# Seconds of compilation below which JAX keeps nothing; to read a program is faster than any.
_LEAST, _LEAST_OF_JAX = "jax_persistent_cache_min_compile_time_secs", 1.0
_kept: dict[str, ProgramFolder] = {}
_JAX_OWN: dict[str, Any] = {}


@known_keywords
def keep_compiled(path: str | os.PathLike[str] | None = None) -> Path | None:
    r"""Keep compiled programs on the disk, so that later processes need not compile them again.

    The command line does this; importing the library never does. It holds for all that JAX
    compiles in this process from now on, the caller's own functions included. Several processes
    may share a folder. At most 1 GiB is kept; the programs not used for longest go first. Programs
    are code: name no folder that somebody else may write to.

    Args:
        path: The folder. `None` takes the environment variable `ORDERPARAM_CACHE` (a folder, or
            `off` for nothing), without it the user's cache folder: `$XDG_CACHE_HOME/orderparam`
            or `~/.cache/orderparam`, on macOS `~/Library/Caches/orderparam`, on Windows
            `%LOCALAPPDATA%\orderparam`.

    Returns:
        The folder in use, `None` where nothing is kept: it is switched off, here or in JAX
        (`jax_enable_compilation_cache`), or the folder cannot be written to, which a warning says.
        Where the caller configured JAX's own cache (`jax_compilation_cache_dir`) that one is left
        as it is, and is returned.

    Raises:
        InvalidProblem: If `path` is not a path.

    Example:
        >>> import orderparam as op
        >>> op.keep_compiled()  # doctest: +SKIP
        PosixPath('/home/me/.cache/orderparam')
    """
    asked = None if path is None else checked_path("path", path)
    configured = _setting("jax_compilation_cache_dir")
    if configured and configured not in _kept:
        return Path(configured)
    wanted = os.environ.get(VARIABLE, "") if asked is None else str(asked)
    if not _setting("jax_enable_compilation_cache") or (asked is None and wanted == "off"):
        return None
    try:
        folder = Path(wanted).expanduser() if wanted else _user_folder()
        _require_own(folder)
        programs = ProgramFolder(folder.resolve(), LIMIT, _machine())
        programs.tidy()
        _serve(programs)
    except (OSError, RuntimeError, ImportError, AttributeError) as error:
        warnings.warn(
            f"Compiled programs are not kept, so each process compiles them again: {error}. Name "
            f"another folder with {VARIABLE}=PATH, or write {VARIABLE}=off.",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    if _setting(_LEAST) == _LEAST_OF_JAX:
        jax.config.update(_LEAST, 0.0)
    return folder.resolve()


def _setting(name: str) -> Any:
    return getattr(jax.config, name)


def _user_folder() -> Path:
    """Where programs of this user keep what they can make again."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "orderparam"
    known = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME", "")
    home = Path(known) if os.path.isabs(known) else Path.home() / ".cache"
    return home / "orderparam"


def _machine() -> str:
    """A name for the processor and JAX: what was compiled for one may crash another."""
    parts = [platform.machine(), jax.__version__, version("jaxlib")]
    cpus = Path("/proc/cpuinfo")
    if cpus.exists():
        lines = cpus.read_text(errors="replace").splitlines()
        parts += [next((line for line in lines if line.startswith(("flags", "Features"))), "")]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _require_own(folder: Path) -> None:
    """Make the folder, for this user alone, and see that it can be written to."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.name == "posix" and folder.stat().st_uid not in (os.getuid(), 0):
        raise PermissionError(f"the folder {folder} belongs to another user")
    if os.name == "posix" and folder.stat().st_mode & 0o002:
        raise PermissionError(f"everybody may write to the folder {folder}")
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"0")


def _serve(programs: ProgramFolder) -> None:
    """Let JAX ask this folder, and its own for folders of others."""
    # JAX has no public way to say how files are kept; where this one goes, nothing is kept.
    files: Any = import_module("jax._src.compilation_cache")
    jax_own = _JAX_OWN.setdefault("files", files.get_file_cache)
    path = str(programs.path)
    _kept[path] = programs
    files.get_file_cache = lambda asked: (_kept[asked], asked) if asked in _kept else jax_own(asked)
    reset_cache()
    jax.config.update("jax_compilation_cache_dir", path)
