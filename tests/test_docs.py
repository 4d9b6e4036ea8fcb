"""What the pages say is there is there."""

import re
from pathlib import Path

import pytest

from gonio import losses
from gonio.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def test_the_page_of_losses_has_a_line_for_every_row_and_no_other():
    page = (ROOT / "docs" / "losses.md").read_text()
    tables = page.partition("\n## The tables\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(.+?)` \|", tables, re.MULTILINE) == losses.names()


def test_the_page_of_losses_speaks_of_rows_that_are_there():
    page = (ROOT / "docs" / "losses.md").read_text()
    lines = re.findall(r"^\| (`.+?) \|", page, re.MULTILINE)
    spoken_of = {name for line in lines for name in re.findall(r"`(.+?)`", line)}
    assert spoken_of <= set(losses.names())


def test_the_readme_counts_the_losses():
    counts = re.findall(r"(\d+) losses", (ROOT / "README.md").read_text())
    assert counts
    assert set(counts) == {str(len(losses.names()))}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_is_one(page):
    text = page.read_text()
    shells = "".join(re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    words = re.findall(r"^gonio (\S+)", shells, re.MULTILINE) + re.findall(r"`gonio ([\w-]+)", text)
    assert set(words) <= set(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_the_python_of_the_page_on_heads_runs(capsys):
    page = (ROOT / "docs" / "heads.md").read_text()
    names = {}
    for code in re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        exec(code, names)
    assert "LastStep(rows=64" in capsys.readouterr().out
