"""Numbers with their errors."""

import pytest

import orderparam as op
from orderparam.results import Solution, Verdict
from orderparam.results.screen import with_error


@pytest.mark.parametrize(
    ("value", "se", "text"),
    [
        (0.276894, 0.00042, "0.2769(4)"),
        (0.276894, 0.00096, "0.277(1)"),
        (-1.25, 0.3, "-1.2(3)"),
        (12345.0, 20.0, "1.234(2)e+04"),
        (1.5e-7, 2e-9, "1.50(2)e-07"),
        (0.0, 0.01, "0.00(1)"),
        (0.5, 7.0, "0(7)"),
        (0.123456789, None, "0.123457"),
        (0.5, 0.0, "0.5"),
        (float("nan"), 0.1, "nan"),
    ],
)
def test_digits_end_where_the_error_begins(value, se, text):
    assert with_error(value, se) == text


@pytest.fixture(scope="module")
def theory():
    """Of one hidden layer, which compiles in a fraction of the time of two."""
    data = op.data.gaussian(count=3, dimension=6)
    problem = op.kernels.KernelEvolution(op.kernels.MLP(1), data, steps=4)
    method = op.kernels.Causal(samples=128, replicates=2, tolerance=1e-2, accuracy=1.0)
    return problem, op.solve(problem, method, progress=False, throw=False)


def screens(problem, theory):
    yield theory
    yield op.simulate(problem, width=[4, 8, 16, 32, 64], seeds=2, progress=False)
    yield op.solve(op.mixtures.MixtureERM(op.mixtures.isotropic(2), "squared"), progress=False)
    yield op.solve(op.experts.Ladder(), progress=False)
    for verdict in Verdict:
        worst = {"verdict": verdict.value, "message": "A long sentence about much. " * 12}
        yield Solution(theory.dataset.assign_attrs(worst))


def test_screens_have_at_most_twelve_lines_and_cut_nothing(theory):
    for solution in screens(*theory):
        lines = repr(solution).split("\n")
        assert len(lines) <= 12
        assert max(map(len, lines)) <= 96
        assert "..." not in repr(solution)
        assert solution.verdict.value in lines[1]
        assert solution.verdict.remedy.split()[0] in lines[1]


def test_what_does_not_fit_is_counted(theory):
    _, theory = theory
    shown = repr(theory)
    row = next(line for line in shown.split("\n") if line.startswith("  variables"))
    left = int(row.split(" more in")[0].split()[-1])
    named = row.split("variables")[1].split(", and")[0].split(",")
    assert len(named) + left == len(theory.variables) + 1  # the size in memory is an entry too


def test_a_converged_screen_asks_for_nothing():
    data = op.data.gaussian(count=6, dimension=12, seed=1)
    problem = op.kernels.KernelEvolution(op.kernels.MLP(1), data, learning_rate=0.2, steps=10)
    theory = op.solve(problem, op.kernels.Causal(512, 4, 1e-2, accuracy=0.2), progress=False)
    assert theory.verdict.ok
    assert not {"lower", "raise", "increase"} & set(repr(theory).split())
