import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gonio.base.errors import ConfigError, DataError
from gonio.evaluate import verify
from gonio.figures.style import new_axes, save
from gonio.figures.verification import RocDisplay, ScoreHistogramDisplay


@pytest.fixture(scope="module")
def verification():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(30).repeat_interleave(6)
    centres = torch.randn(30, 16, generator=generator)
    return verify(centres[labels] + torch.randn(180, 16, generator=generator), labels)


def test_densities_integrate_to_one(verification):
    display = ScoreHistogramDisplay.from_verification(verification)
    widths = np.diff(display.histogram.edges)
    assert (display.genuine_density * widths).sum() == pytest.approx(1)
    assert (display.impostor_density * widths).sum() == pytest.approx(1)


def test_the_histogram_marks_every_threshold_that_there_is(verification):
    display = ScoreHistogramDisplay.from_verification(verification).plot()
    texts = [text.get_text() for text in display.ax_.texts]
    eer = verification.eer
    assert f"EER {100 * eer.value:.2f} %" in texts
    resolved = [point for point in verification.tar_at_far if point.value is not None]
    for point in resolved:
        assert f"FAR ≤ {point.far:g}: TAR {100 * point.value:.2f} %" in texts
    drawn = [lines.get_segments()[0][0, 0] for lines in display.ax_.collections]
    assert sorted(drawn) == sorted([eer.threshold, *(point.threshold for point in resolved)])
    assert "genuine\n450 pairs" in texts


def test_an_unresolved_far_is_not_drawn():
    display = ScoreHistogramDisplay.from_scores([0.8, 0.9], np.linspace(0, 0.5, 50)).plot()
    texts = " ".join(text.get_text() for text in display.ax_.texts)
    assert "FAR ≤ 0.1:" in texts
    assert "0.01" not in texts


def test_the_roc_curve_holds_the_operating_points(verification):
    display = RocDisplay.from_verification(verification, name="arcface").plot()
    assert display.far[0] == 1 / verification.pairs.impostor
    assert (display.far[-1], display.tar[-1]) == (1, 1)
    assert (np.diff(display.tar) >= 0).all()
    assert display.ax_.lines[0].get_drawstyle() == "steps-post"
    marks = next(line for line in display.ax_.lines if line.get_marker() == "o")
    resolved = [point for point in verification.tar_at_far if point.value is not None]
    assert marks.get_xdata().tolist() == [point.far for point in resolved]
    assert marks.get_ydata().tolist() == [100 * point.value for point in resolved]
    for point in resolved:
        last = np.flatnonzero(display.far <= point.far)[-1]
        assert display.tar[last] == point.value


def test_curves_share_axes_in_different_colours(verification):
    first = RocDisplay.from_verification(verification, name="softmax").plot()
    second = RocDisplay.from_scores([0.5, 0.9], np.linspace(0, 1, 99), name="arcface")
    assert second.plot(first.ax_).figure_ is first.figure_
    legend = first.ax_.get_legend()
    assert [text.get_text().strip() for text in legend.get_texts()] == ["softmax", "arcface"]
    assert len({line.get_color() for line in legend.get_lines()}) == 2


@pytest.mark.parametrize("display", [ScoreHistogramDisplay, RocDisplay])
@pytest.mark.parametrize(("genuine", "impostor"), [([], [0.1]), ([0.1], [])])
def test_pairs_of_one_kind_make_no_picture(display, genuine, impostor):
    with pytest.raises(DataError, match=r"^no .* pairs"):
        display.from_scores(genuine, impostor)


@pytest.mark.parametrize(
    ("genuine", "impostor"),
    [([1.0] * 9, [-1.0] * 30), ([1.0], [1.0]), ([-1.0] * 9, [1.0000007] * 30)],
)
def test_scores_at_the_ends_stay_inside_the_picture(genuine, impostor):
    for display in (ScoreHistogramDisplay, RocDisplay):
        drawn = display.from_scores(genuine, impostor).plot()
        drawn.figure_.canvas.draw()
        whole = drawn.figure_.bbox
        for text in drawn.ax_.texts:
            box = text.get_window_extent()
            assert box.x0 >= whole.x0
            assert box.x1 <= whole.x1
            assert box.y1 <= whole.y1


@pytest.mark.parametrize(
    ("suffix", "start"), [("svg", b"<?xml"), ("pdf", b"%PDF"), ("PNG", b"\x89PNG")]
)
def test_a_picture_is_saved_as_its_suffix_says(verification, tmp_path, suffix, start):
    display = RocDisplay.from_verification(verification).plot()
    path = tmp_path / f"roc.{suffix}"
    save(display.figure_, path)
    assert path.read_bytes().startswith(start)
    assert list(tmp_path.iterdir()) == [path]


def test_a_png_is_sharp(verification, tmp_path):
    save(ScoreHistogramDisplay.from_verification(verification).plot().figure_, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (1280, 800)


@pytest.mark.parametrize("name", ["roc.jpg", "roc", "roc.svg.gz"])
def test_another_suffix_is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match=r"a picture can be \.svg, \.pdf, \.png"):
        save(new_axes().get_figure(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_failed_save_leaves_nothing(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(OSError, match=r"a\.png"):
        save(new_axes().get_figure(), tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_nothing_is_imported_before_it_is_drawn():
    code = (
        "import sys, gonio.evaluate, gonio.figures.verification as v;"
        "display = v.RocDisplay.from_scores([0.9], [0.1] * 20);"
        "assert 'matplotlib' not in sys.modules;"
        "display.plot();"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_matplotlib_the_extra_is_named(tmp_path):
    (tmp_path / "matplotlib").mkdir()
    Path(tmp_path / "matplotlib" / "__init__.py").write_text(
        "raise ModuleNotFoundError('no module', name='matplotlib')"
    )
    code = "from gonio.figures.style import new_axes; new_axes()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ConfigError: pictures need matplotlib: pip install 'gonio[plot]'" in done.stderr


@pytest.mark.parametrize("name", ["$x_$", r"$\frac$", "_x", "a\x1b]0;b\x07"])
def test_any_name_of_a_model_is_drawn_as_it_is(verification, name, tmp_path):
    display = RocDisplay.from_verification(verification, name=name).plot()
    save(display.figure_, tmp_path / "roc.png")
    (shown,) = display.ax_.get_legend().get_texts()
    assert shown.get_text().strip() == name.replace("\x1b", r"\x1b").replace("\x07", r"\x07")
