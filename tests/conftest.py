"""What holds for every test: shapes are checked at run time, figures open no window."""

import os
from pathlib import Path

# Before JAX and NumPy are imported. Workers share the machine: more threads only wait for each
# other. XLA asks NPROC for its number of threads on a CPU; flags of that name have no effect.
os.environ.setdefault("NPROC", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Compiling is most of the time. What one worker compiled the other reads, and the next run too.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".pytest_cache" / "compiled")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

import beartype.typing  # noqa: F401  (named in CHECKER below)
import hypothesis
import jax
import pytest
from jaxtyping import install_import_hook

os.environ["MPLBACKEND"] = "Agg"
hypothesis.settings.register_profile(
    "repeatable", derandomize=True, deadline=None, database=None, max_examples=50
)
hypothesis.settings.load_profile("repeatable")

# Methods are checked one by one, where beartype cannot know what `Self` is: it stays unchecked.
CHECKER = (
    "beartype.beartype(conf=beartype.BeartypeConf(hint_overrides=beartype.FrozenDict("
    "{beartype.typing.Self: object})))"
)
SOURCE = Path(__file__).parents[1] / "src"
# Only where there are shapes: pyright checks the other types, and checked calls are slow.
SHAPED = [
    ".".join(path.relative_to(SOURCE).with_suffix("").parts)
    for path in sorted(SOURCE.glob("orderparam/**/*.py"))
    if "from jaxtyping import" in path.read_text(encoding="utf-8")
]
# Has to come before the first import of the package, which is why it is not a fixture.
install_import_hook(SHAPED, CHECKER)


def pytest_configure(config):
    """Small programs take longer to optimise than to run; those of `make validate` run for long."""
    if config.option.markexpr == "not validate":
        jax.config.update("jax_disable_most_optimizations", True)


MANY_MAPS = 20_000
"""Pieces of mapped memory above which compiled programs are dropped; Linux allows 65530."""


@pytest.fixture(scope="module", autouse=True)
def compiled_programs_are_dropped():
    """Each compiled program maps memory, of which a process may hold a limited number of pieces."""
    yield
    jax.clear_caches()


@pytest.fixture(autouse=True)
def compiled_programs_are_few():
    """The same within a module of many tests."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > MANY_MAPS:
        jax.clear_caches()
