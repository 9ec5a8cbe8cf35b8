import numpy as np
import pytest

from orderparam.comparison import compare
from orderparam.errors import InvalidProblem
from orderparam.kernels.evidence.figures import FIGURES, activation_text
from orderparam.plots.deviation import deviations


def texts(figure):
    figure.draw_without_rendering()
    return "\n".join(
        text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))
    )


# The figures of single studies are drawn from those studies in tests/studies.
GENERAL = ("loss", "kernels", "alignment", "deviation", "fields")


@pytest.mark.parametrize("name", GENERAL)
def test_figures_say_what_they_show(pair_of, name):
    kind = FIGURES[name]
    pairs = [pair_of("CASE A")] if kind.each_case else [pair_of("CASE A"), pair_of("CASE B")]
    figure = kind.draw(pairs)
    shown = texts(figure)
    assert all(pair.label in shown for pair in pairs)
    assert r"\phi(h) = \sqrt{2}\,\max(0, h)" in shown
    for panel in figure.axes[:1]:
        assert panel.get_ylabel()
    assert any(panel.get_xlabel() for panel in figure.axes)
    has_legend = figure.legends or any(panel.get_legend() for panel in figure.axes)
    assert has_legend or name == "kernels"


@pytest.mark.parametrize("name", [name for name in GENERAL if not FIGURES[name].runs])
def test_theory_alone_can_be_drawn(pair_of, name):
    assert "networks, N" not in texts(FIGURES[name].draw([pair_of(networks=False)]))


def test_loss_curves_are_the_data(pair_of):
    pair = pair_of()
    panel = FIGURES["loss"].draw([pair]).axes[0]
    lines = {line.get_label(): line.get_ydata() for line in panel.lines}
    np.testing.assert_array_equal(lines["theory, N → ∞"], pair.theory["loss"].values)
    runs = pair.experiment["loss"].sel(width=1024).values[:3]
    np.testing.assert_allclose(lines["networks, N = 1024 (3 seeds)"], runs.mean(axis=0))
    assert panel.get_yscale() == "log"
    assert len(panel.collections) == 4


def test_kernels_are_ordered_by_class_on_one_scale(pair_of):
    pair = pair_of()
    figure = FIGURES["kernels"].draw([pair])
    images = [panel.images[0] for panel in figure.axes[:8]]
    order = [0, 2, 4, 1, 3, 5]
    for index, time in ((0, 0), (2, -1)):
        kernel = pair.theory["ntk"].values[time][np.ix_(order, order)]
        np.testing.assert_array_equal(images[index].get_array(), kernel)
        kernel = pair.theory["Phi"].values[time, -1][np.ix_(order, order)]
        np.testing.assert_array_equal(images[4 + index].get_array(), kernel)
    for row in (images[:4], images[4:]):
        assert len({image.get_clim() for image in row}) == 1
    # One line in each direction, between the third and the fourth sample.
    assert figure.axes[0].lines[0].get_ydata()[0] == 2.5


def test_histograms_hold_the_samples(pair_of):
    figure = FIGURES["fields"].draw([pair_of()])
    assert len(figure.axes) == 4
    assert {panel.get_title() for panel in figure.axes} == {
        f"layer {layer}, step {step}" for layer in (1, 2) for step in (0, 4)
    }


@pytest.mark.parametrize("power", [0.5, 1.0])
def test_the_slope_of_the_deviation(pair_of, power):
    measured = deviations(pair_of(power=power), "Phi")
    assert measured.single.size == 11
    slope, low, high = measured.slope()
    assert low < -power < high
    assert high - low < 0.1
    assert slope == pytest.approx(-power, abs=0.05)


def test_the_mean_over_seeds_is_shown_only_where_it_is_measured(pair_of):
    assert deviations(pair_of(), "Phi").mean.size == 0
    biased = deviations(pair_of(bias=20.0, power=1.0), "Phi")
    np.testing.assert_array_equal(biased.mean_width, [64, 256, 1024])
    np.testing.assert_allclose(biased.mean, 20.0 / biased.mean_width, rtol=0.05)


def test_no_slope_without_two_widths(pair_of):
    measured = deviations(pair_of(), "loss")
    few = type(measured)(measured.width[:4], measured.single[:4], measured.mean, measured.mean)
    assert few.slope() is None


def test_activations_are_defined():
    assert activation_text("tanh") == r"$\phi(h) = \tanh h$"
    assert activation_text("scaled_tanh(0.5)") == r"$\phi(h) = \tanh(0.5\,h)/0.5$"
    assert activation_text("mine") == "φ = mine"


@pytest.mark.parametrize("variable", [None, "Phi", "Phi_alignment"])
def test_comparisons_plot_every_variable(pair_of, variable):
    pair = pair_of()
    comparison = compare(pair.theory, pair.experiment)
    figure = comparison.plot(variable)
    (panel,) = figure.axes
    assert panel.get_xlabel()
    assert panel.get_ylabel()
    assert panel.get_legend() is not None
    assert "z = " in figure.get_suptitle()
    with pytest.raises(InvalidProblem, match="was not compared"):
        comparison.plot("nothing")
