"""Every picture of the table, as files."""

import sys
from itertools import combinations, groupby
from xml.etree import ElementTree

import pytest
from matplotlib.text import Text
from PIL import Image

from gonio import figures, losses
from gonio.base.errors import ConfigError
from gonio.figures.style import save
from gonio.rules import CLASSES


def check_readable(figure):
    """Nothing that is written lies outside the figure or over another text."""
    figure.draw_without_rendering()
    ticks = {label for axes in figure.axes for label in _tick_labels(axes)}
    written = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    boxes = {text: text.get_window_extent() for text in written if text not in ticks}
    assert boxes
    for text, box in boxes.items():
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1, text
        assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1, text
    for (one, a), (other, b) in combinations(boxes.items(), 2):
        assert not a.padded(-1).overlaps(b.padded(-1)), (one, other)


def _tick_labels(axes):
    return axes.get_xticklabels(which="both") + axes.get_yticklabels(which="both")


@pytest.mark.parametrize("name", figures.names())
def test_survey_pictures_are_readable_and_can_be_saved(name, tmp_path):
    figure = figures.get(name).from_losses().plot().figure_
    check_readable(figure)
    save(figure, tmp_path / "it.png")
    save(figure, tmp_path / "it.svg")
    with Image.open(tmp_path / "it.png") as image:
        assert len(image.convert("RGB").getcolors(2**24)) > 20
    assert ElementTree.parse(tmp_path / "it.svg").getroot().tag.endswith("svg")


FAMILIES = {
    family: list(rows)
    for family, rows in groupby(losses.names(), lambda name: losses.get(name).loss.__module__)
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", figures.names())
def test_pictures_of_every_named_loss_are_readable(name, family):
    every = {loss: losses.get(loss).loss() for loss in FAMILIES[family]}
    if name in ("regions-scale", "intra-inter"):
        every = {label: loss for label, loss in every.items() if loss.pairing == CLASSES}
    if every:
        check_readable(figures.get(name).from_losses(every).plot().figure_)


@pytest.mark.parametrize("name", ["regions-scale", "intra-inter"])
@pytest.mark.parametrize("loss", ["infonce", "proxy-anchor"])
def test_regions_of_a_loss_in_which_samples_meet_are_refused(name, loss):
    with pytest.raises(ConfigError, match=r"mine: it compares the samples .* take target-curves"):
        figures.get(name).from_losses({"mine": losses.get(loss).loss()})


def test_draw_writes_the_file_and_nothing_else(tmp_path):
    figures.draw("target-curves", tmp_path / "it.pdf", {"mine": losses.arcface(margin=0.3)})
    (written,) = tmp_path.iterdir()
    assert written.name == "it.pdf"
    assert written.read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("name", ["target-curves", "margin-width", "intra-inter"])
def test_draws_on_axes_that_are_given(name):
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    display = figures.get(name).from_losses().plot(axes)
    assert display.ax_ is axes
    assert display.figure_ is axes.figure


@pytest.mark.parametrize("name", figures.names())
def test_says_what_to_install_without_matplotlib(name, monkeypatch):
    display = figures.get(name).from_losses({"mine": losses.normface(scale=30)})
    for module in [module for module in sys.modules if module.startswith("matplotlib")]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=r"gonio\[plot\]"):
        display.plot()


def test_a_margin_that_no_classes_can_meet_is_named():
    display = figures.get("margin-width").from_losses({"absurd": losses.cosface(margin=2.5)}).plot()
    assert any("absurd" in text.get_text() for text in display.figure_.findobj(Text))


def test_every_picture_says_what_it_shows():
    sentences = [figures.describe(name) for name in figures.names()]
    assert len(set(sentences)) == len(sentences)
    assert all(sentence.endswith(".") for sentence in sentences)


def test_unknown_name_and_suffix():
    with pytest.raises(ConfigError, match="did you mean 'target-curves'"):
        figures.get("target-curve")
    with pytest.raises(ConfigError, match=r"\.svg, \.pdf, \.png"):
        figures.draw("margin-width", "it.gif")
