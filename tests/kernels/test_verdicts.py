"""Verdicts judge what was computed: growth, oscillation, few points, zeros, and the accuracy."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

import orderparam as op
from orderparam.engine import FiniteSpace
from orderparam.engine.normals import draw_normals
from orderparam.errors import Diverged, NotConverged
from orderparam.kernels import MLP, Causal
from orderparam.kernels.theory.diagnosis import FEW
from orderparam.kernels.theory.initial import kernels_at_start, stable_learning_rate
from orderparam.kernels.theory.physics import checked_loss
from orderparam.results import Verdict

INPUTS = np.random.default_rng(0).normal(size=(3, 6))
PROBLEM = op.kernels.KernelEvolution(
    MLP(1, "tanh"), op.data.Data(INPUTS, [1.0, -1.0, 1.0]), learning_rate=0.2, steps=12
)
STATIC = op.kernels.StaticNTK()


def solved(problem, method, **changes):
    return op.solve(replace(problem, **changes), method, progress=False, throw=False)


def test_a_loss_that_grows_is_not_converged():
    grown = solved(PROBLEM, STATIC, learning_rate=20.0, steps=40)
    assert grown["loss"].values[-1] > 1e3
    assert grown.verdict is Verdict.DIVERGED
    lost = np.array([1.0, 2.0, np.nan, np.nan])
    verdict, said = checked_loss(lost, np.arange(4), "")
    assert verdict is Verdict.NON_FINITE
    assert "from step 2 on" in said
    with pytest.raises(Diverged, match="grew to"):
        op.solve(replace(PROBLEM, learning_rate=20.0, steps=40), STATIC, progress=False)


def test_an_oscillation_for_ever_is_explained():
    with jax.enable_x64(True):
        limit = stable_learning_rate(kernels_at_start(PROBLEM).ntk)
    # A single sample is a single mode: at twice the inverse of its kernel it returns every time.
    one = replace(PROBLEM, data=op.data.Data(INPUTS[:1], [1.0]))
    with jax.enable_x64(True):
        at = 2 / float(kernels_at_start(one).ntk[0, 0])
    swinging = solved(one, STATIC, learning_rate=at * (1 - 1e-4), steps=40)
    assert swinging["loss"].values[-1] > 0.45
    # Its loss is the same in every step; with two modes it goes up and down.
    loss = 0.5 + 0.1 * (-1.0) ** np.arange(40)
    verdict, said = checked_loss(loss, np.arange(40), "Done.")
    assert verdict.ok
    assert "oscillates" in said
    settling = 0.5 + 0.1 * (-0.8) ** np.arange(40)
    assert "oscillates" not in checked_loss(settling, np.arange(40), "")[1]
    assert "above its start" in checked_loss(np.array([1.0, 0.5, 1.1]), np.arange(3), "")[1]
    assert solved(PROBLEM, STATIC, learning_rate=0.9 * limit).message.endswith("gamma0 -> 0.")


@pytest.mark.parametrize("method", [STATIC, Causal(128, 2, accuracy=0.2)], ids=["static", "causal"])
def test_elementary_inputs_have_elementary_answers(method):
    nothing = op.data.Data(np.zeros((3, 6)), [1.0, -1.0, 1.0])
    still = solved(PROBLEM, method, data=nothing, steps=3)
    assert still.verdict.ok
    np.testing.assert_array_equal(still["loss"], 0.5)
    silent = solved(PROBLEM, method, data=op.data.Data(INPUTS, np.zeros(3)), steps=3)
    assert silent.verdict.ok
    assert float(np.abs(silent["loss"]).max()) < 1e-25


def test_few_points_that_decide_are_noticed():
    """Raw inputs: few points in a thousand have a slope, which no spread over replicates shows."""
    raw = op.data.Data(255 * INPUTS, [1.0, -1.0, 1.0])
    found = solved(PROBLEM, Causal(1024, 2, 1e-3), data=raw, learning_rate=1e-5, steps=3)
    assert found.diagnostics["effective_samples"] < 10
    assert found.verdict is Verdict.ERROR_TOO_LARGE
    assert "Few points carry the averages: the effective sample size falls to" in found.message
    assert "divide them by" in found.message


def test_the_effective_sample_size_is_measured_while_training():
    """Inputs of three times the unit: training makes preactivations wide that were not at first."""
    wide = op.data.Data(3 * INPUTS, [1.0, -1.0, 1.0])
    changes = {"data": wide, "learning_rate": 0.1, "steps": 20}
    few = solved(PROBLEM, Causal(512, 2, accuracy=0.05), **changes)
    with jax.enable_x64(True):
        assert 512 * kernels_at_start(replace(PROBLEM, data=wide)).active > FEW
    assert 1 < few.diagnostics["effective_samples"] < FEW
    assert few.verdict is Verdict.ERROR_TOO_LARGE
    # The bias begins where points become few, and covers what more points change.
    bias = few["loss_bias"].values / few["loss"].values
    assert bias[0] < 0.01 < FEW**-0.5 < bias[-1]
    many = solved(PROBLEM, Causal(16384, 2), **changes)
    for name in ("f", "loss", "ntk"):
        gap, error = (few[name] - many[name]).values, few.error(name).values
        assert np.sqrt(np.mean(gap**2)) < 2 * np.sqrt(np.mean(error**2))
    # As large a part of many points is trusted, with a word.
    assert many.diagnostics["effective_samples"] > FEW
    assert many.verdict.ok
    assert "effective sample size falls to" in many.message


@pytest.mark.validate
@pytest.mark.parametrize(("width", "covers"), [(30, True), (3000, False)])
def test_standard_errors_of_few_points(width, covers):
    """<(phi'(s u) w)^2> of tanh, four replicates: trusted at a size of 38, not at 1.3."""
    sech = lambda u: 1 / np.cosh(np.clip(width * u, -300, 300)) ** 2  # noqa: E731
    nodes = np.linspace(-8, 8, 4_000_001)
    right = (sech(nodes) ** 2) @ np.exp(-(nodes**2) / 2) / np.exp(-(nodes**2) / 2).sum()
    means, sizes = [], []
    for seed in range(800):
        u, w = draw_normals((seed, 3), 0, 64, 4096)[:2]
        part = (sech(u) * w) ** 2
        means.append(part.mean())
        sizes.append(part.sum() ** 2 / (part**2).sum())
    values = np.reshape(means, (200, 4))
    error = special.stdtrit(3, 0.975) * values.std(axis=1, ddof=1) / 2
    covered = np.mean(np.abs(values.mean(axis=1) - right) < error)
    assert (np.median(sizes) > FEW) == covers
    assert covered > 0.9 if covers else covered < 0.86


def test_a_part_of_the_points_that_carries_a_norm():
    """Kish's size: all of equal entries, 1/3 of normal ones, one point of one entry."""
    space = FiniteSpace(jax.random.key(0), 4)
    found = space.carrying(jnp.array([[3.0, -3, 3, 3], [0, 1e-30, 0, 0], [0, 0, 0, 0.0]]))
    np.testing.assert_allclose(found, [1, 0.25, 1])
    normals = np.random.default_rng(0).standard_normal((1, 100_000))
    assert float(space.carrying(jnp.asarray(normals))[0]) == pytest.approx(1 / 3, abs=0.01)


def test_accuracy_decides_and_the_largest_part_is_named():
    coarse = solved(PROBLEM, Causal(1024, 2, 0.05, accuracy=0.5), steps=6)
    assert coarse.verdict.ok
    assert not {"lower", "raise"} & set(coarse.message.split())
    error = max(coarse.diagnostics[n] for n in ("truncation_bias", "kernel_truncation_bias"))
    noisy = solved(PROBLEM, Causal(256, 2, 1e-6), steps=6)
    assert noisy.verdict is Verdict.ERROR_TOO_LARGE
    assert "raise `samples` or `replicates`" in noisy.message
    with pytest.raises(NotConverged, match="accuracy"):
        op.solve(PROBLEM, Causal(64, 2, 1e-6, accuracy=1e-4), progress=False)
    assert error < 0.5


def test_the_known_bias_covers_what_the_standard_error_does_not():
    """A deep linear network: truncation moves kernels by many standard errors."""
    linear = replace(PROBLEM, network=MLP(2, "linear"), steps=8)
    exact = solved(linear, op.kernels.ExactLinear())
    sampled = solved(linear, Causal(256, 2, 1e-3, accuracy=0.5))
    for name in ("f", "Phi", "G", "ntk"):
        gap = np.sqrt(np.mean((sampled[name] - exact[name]).values ** 2))
        assert gap < 2 * np.sqrt(np.mean(sampled.error(name).values ** 2)) + 1e-12
    gap = np.abs((sampled["Phi"] - exact["Phi"]).values).max()
    assert gap > 10 * float(sampled["Phi_se"].max())
    coarse = solved(linear, op.kernels.ExactLinear(1e-3))
    assert coarse.verdict is Verdict.ERROR_TOO_LARGE
    assert "lower `tolerance`" in coarse.message
    for name in ("f", "Phi", "G", "ntk"):
        gap = np.abs((coarse[name] - exact[name]).values)
        assert gap.max() <= float(coarse.error(name).max())
    assert "f_bias" not in exact
