"""What an import brings with it: JAX, Equinox and xarray, and of other packages nothing."""

import subprocess
import sys

import pytest

COUNTED = """
import sys
import jax, equinox, xarray
before = set(sys.modules)
{imports}
others = {{name.partition(".")[0] for name in set(sys.modules) - before}}
# `rich.style` draws random numbers, so it is imported where that leaves no trace.
print(*sorted(others - sys.stdlib_module_names - {{"rich", "orderparam"}} - before))
print(*sorted({{"rich.console", "rich.progress"}} & set(sys.modules)))
"""


def printed(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


# With the rooms that a solve needs of a family: claims and figures too, but nothing that draws.
@pytest.mark.parametrize(
    "imports",
    [
        "import orderparam.experts.family; from orderparam import compare, data, load, solve",
        "import orderparam.fluctuations.family",
        "import orderparam.kernels.family, orderparam.mixtures.family, orderparam.online.family",
    ],
)
def test_heavy_packages_wait_until_they_are_used(imports):
    assert printed(COUNTED.format(imports=imports)).split() == []


def test_a_package_that_waited_has_its_contents():
    code = "from orderparam.support.later import special, stats; import sys; "
    code += "assert 'scipy' not in sys.modules; print(special.ndtr(0.0), stats.norm.mean())"
    assert printed(code).split() == ["0.5", "0.0"]
