import pytest

from gonio import figures

PNG = b"\x89PNG"


def test_the_list_names_every_picture(gonio):
    result = gonio("figure", "--list")
    assert result.code == 0
    lines = [line.split("\t") for line in result.out.splitlines()]
    assert lines == [[name, figures.describe(name)] for name in figures.names()]


def test_a_picture_of_chosen_losses(gonio, tmp_path):
    survey, chosen = tmp_path / "survey.png", tmp_path / "chosen.png"
    assert gonio("figure", "target-curves", "-o", survey).code == 0
    half = "{name: arcface, margin: 0.25}"
    result = gonio("figure", "target-curves", "--loss", "arcface", "--loss", half, "-o", chosen)
    assert result.code == 0, result.err
    assert survey.read_bytes()[:4] == chosen.read_bytes()[:4] == PNG
    assert survey.read_bytes() != chosen.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "-o FILE"),
        (("target-curves",), "-o FILE"),
        (("target-curve", "-o", "x.png"), "did you mean 'target-curves'"),
        (("target-curves", "-o", "x.gif"), ".svg, .pdf, .png"),
        (("target-curves", "--loss", "arcfce", "-o", "x.png"), "did you mean 'arcface'"),
        (("target-curves", "--loss", "{margin: 1}", "-o", "x.png"), "{name: NAME"),
        (("target-curves", "--loss", "{name", "-o", "x.png"), "not valid YAML"),
        (("target-curves", "--loss", "{name: arcface, margin: 9}", "-o", "x.png"), "out of range"),
        (("--colour", "red"), "--colour"),
    ],
)
def test_what_cannot_be_drawn_is_refused(refused, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in refused(2, "figure", *arguments)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_does_not_exist_is_named(refused, tmp_path):
    assert "no does not exist" in refused(
        2, "figure", "target-curves", "-o", tmp_path / "no" / "x.png"
    )
