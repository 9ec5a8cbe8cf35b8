"""`Solution.plot`: what it draws is what the result holds, and it says what it cannot draw."""

import numpy as np
import pytest
import xarray as xr

import orderparam as op
from orderparam.errors import UnsupportedCombination
from orderparam.results import Coordinate, Solution, Variable, Verdict, build_solution


def curve(axes, label=None):
    """The line with that label, or the only one."""
    lines = axes.lines if label is None else [x for x in axes.lines if x.get_label() == label]
    (line,) = lines
    return line.get_xydata().T


def band(axes):
    """Lower and upper end of the first band at each of its abscissas."""
    points = axes.collections[0].get_paths()[0].vertices
    return [(points[points[:, 0] == x, 1].min(), points[points[:, 0] == x, 1].max())
            for x in np.unique(points[:, 0])]  # fmt: skip


def titled(figure, start):
    """The panel whose title or axes begin so."""
    return next(
        panel for panel in figure.axes
        if any(t.startswith(start) for t in (panel.get_title(), panel.get_xlabel()))
    )  # fmt: skip


def solution(variables, coords, *, kind="theory", verdict=Verdict.CONVERGED, family="toy"):
    return build_solution(
        variables, coords, family=family, kind=kind, problem={}, method={"replicates": 4}, seed=0,
        verdict=verdict, message="", diagnostics={}, precision="float64", device="cpu",
        wall_time=0.0, compile_time=None, sources=[],
    )  # fmt: skip


def test_theory_of_kernels(pair_of):
    theory = pair_of(networks=False).theory
    extended = theory.dataset
    two = np.random.default_rng(0).uniform(size=(2, 5, 5, 8, 8))
    dims = ("layer", "time", "time_", "sample", "sample_")
    extended["Phi_two"] = xr.Variable(dims, two)
    extended["loss_bias"] = extended["loss"].dims, 0.1 * np.ones(5)
    extended["loss"].attrs["bias"] = "loss_bias"
    figure = Solution(extended).plot()
    figure.draw_without_rendering()
    assert figure.get_suptitle() == "kernels, theory"
    times, loss = curve(figure.axes[0])
    np.testing.assert_array_equal(times, theory["eta_t"])
    np.testing.assert_array_equal(loss, theory["loss"])
    (low, high) = band(figure.axes[0])[2]
    assert (low, high) == pytest.approx((loss[2] - 0.2, loss[2] + 0.2))
    first, last = (figure.axes[i].images[0].get_array() for i in (1, 2))
    np.testing.assert_array_equal(first, theory["ntk"][0])
    np.testing.assert_array_equal(last, theory["ntk"][-1])
    panel = titled(figure, "mean over samples")
    expected = np.einsum("tsii->ts", two[-1]) / 8
    np.testing.assert_allclose(panel.collections[0].get_array(), expected)
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("step $s$", "step $t$")
    density = titled(figure, "preactivation $h^{2}$")
    assert density.get_legend_handles_labels()[1] == ["step 0", "step 4"]


def test_networks_show_their_mean_and_range(pair_of):
    runs = pair_of().experiment
    axes = runs.plot().axes[0]
    values = runs["loss"].sel(width=64)
    np.testing.assert_allclose(curve(axes, "width 64")[1], values.mean("seed"))
    np.testing.assert_allclose(band(axes)[0], (values[:, 0].min(), values[:, 0].max()))
    # A run that did not end well counts in no mean.
    ended = runs["loss"].sel(width=1024).values[:3]
    np.testing.assert_allclose(curve(axes, "width 1024")[1], ended.mean(axis=0))


def test_overlaps_and_points_of_a_phase_diagram_are_curves_of_their_own():
    rng = np.random.default_rng(0)
    overlaps = rng.uniform(size=(3, 2, 2))
    time = {"time": Coordinate(("time",), np.arange(3), "time")}
    dims = ("time", "student", "student_")
    parts = {"Q": Variable(dims, overlaps, "student-student overlaps", "Q")}
    panel = solution(parts, time, family="online").plot().axes[0]
    np.testing.assert_array_equal(curve(panel, "0, 1")[1], overlaps[:, 0, 1])
    assert len(panel.lines) == 3  # the pair 1, 0 is the pair 0, 1
    error = rng.uniform(size=(2, 3))
    varied = {"alpha": [1.0, 2.0], "strength": [0.1, 1.0, 10.0]}
    coords = {name: Coordinate((name,), np.array(x), name) for name, x in varied.items()}
    parts = {"test_error": Variable(("alpha", "strength"), error, "error")}
    x, y = curve(solution(parts, coords, family="mixtures").plot().axes[0], "10")
    np.testing.assert_array_equal([x, y], [[1.0, 2.0], error[:, 2]])


def test_one_point_of_a_mixture_shows_its_decisions():
    task = op.mixtures.MixtureERM(op.mixtures.isotropic(2), "squared", "l2", 0.1, alpha=2.0)
    (axes,) = op.solve(task, progress=False).plot().axes
    assert axes.get_xlabel() == "false positive rate"


def test_exponents_stand_at_their_observable():
    theory = op.solve(op.experts.Ladder(regime="II", parameterization="mup"))
    axes = theory.plot().axes[0]
    names = [text.get_text() for text in axes.get_yticklabels()]
    at = next(c for c in axes.containers if c.get_label() == "after 0 updates").lines[0]
    found = dict(zip(np.array(names)[at.get_ydata().astype(int)], at.get_xdata(), strict=True))
    assert found["act/output"] == float(theory["exponent"].sel(prediction="act/output after 0"))


def test_a_family_without_a_figure_and_a_result_without_a_curve():
    time = {"time": Coordinate(("time",), np.arange(3), "step")}
    decay = {"loss": Variable(("time",), np.array([1.0, 0.5, 0.2]), "loss")}
    figure = solution(decay, time, verdict=Verdict.NOT_CONVERGED).plot()
    assert "verdict: not_converged" in figure.get_suptitle()
    np.testing.assert_array_equal(curve(figure.axes[0])[1], [1.0, 0.5, 0.2])
    with pytest.raises(UnsupportedCombination, match="nothing to draw; print it"):
        solution({"loss": Variable((), np.array(1.0), "loss")}, {}).plot()
    with pytest.raises(UnsupportedCombination, match="nothing to draw"):
        op.solve(op.experts.Transfer()).plot()
