"""What the README shows works as written."""

import re
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_python_of_the_readme_runs():
    names = {}
    for code in blocks("python"):
        exec(code, names)
    assert names["scores"].shape == (64, 100)
    assert names["right"].shape == names["angle"].shape == (64,)


def test_a_training_loop_is_shown_in_twenty_lines():
    assert len(blocks("python")[0].splitlines()) <= 20


def test_every_picture_and_page_that_it_links_is_there():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (Path(__file__).parents[1] / target).exists(), target
