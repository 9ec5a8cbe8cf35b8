import sys

import matplotlib
import pytest

from orderparam.plots.style import COLOURS, STYLE, colour, describe, export, panels, styled


def test_the_callers_settings_stay():
    before = dict(matplotlib.rcParams)

    @styled
    def draw():
        assert matplotlib.rcParams["font.size"] == STYLE["font.size"]
        return panels(1, 1)[0]

    with matplotlib.rc_context({"font.size": 33}):
        export(draw(), "png")
        assert matplotlib.rcParams["font.size"] == 33
    assert dict(matplotlib.rcParams) == before


def test_no_pyplot():
    if "matplotlib.pyplot" in sys.modules:
        assert sys.modules["matplotlib.pyplot"].get_fignums() == []


@pytest.mark.parametrize(("kind", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_a_figure_exports_to_the_same_bytes_each_time(kind, start):
    def draw():
        figure, axes = panels(1, 1)
        axes[0, 0].plot([0, 1])
        return export(figure, kind)

    assert draw().startswith(start)
    assert draw() == draw()


def test_colours_repeat_and_differ():
    assert len(set(COLOURS)) == len(COLOURS)
    assert colour(0) == colour(len(COLOURS))


def test_the_legend_has_each_entry_once():
    figure, axes = panels(1, 2)
    for panel in axes[0]:
        panel.plot([0, 1], label="same")
    describe(figure, "title", "note", legend_of=axes[0].tolist())
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["same"]
    assert legend.get_title().get_text() == "note"
    figure, _ = panels(1, 1)
    describe(figure, "title", "note")
    assert figure.get_supxlabel() == "note"
