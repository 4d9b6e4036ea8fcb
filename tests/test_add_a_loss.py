"""CONTRIBUTING says that a loss is added by two edits; here they are made, on a copy of the sources."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gonio.contract import POINTS

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
EDITS = re.findall(r"```python\n# (\S+)\n(.*?)```", GUIDE, re.DOTALL)
NAME = "logit-margin"

USES = f"""
import sys
import gonio, torch
from gonio.cli.main import main
assert gonio.__file__.startswith(sys.argv[1]), gonio.__file__
assert gonio.losses.names().count("{NAME}") == 1
gonio.Head(4, 7, loss="{NAME}")(torch.randn(5, 4), torch.arange(5)).backward()
assert main(["losses", "{NAME}"]) == 0
assert main(["train", "--loss", "{NAME}", "--loss.margin", "2", "--print_config"]) == 0
"""


@pytest.fixture(scope="module")
def edited(tmp_path_factory):
    """The sources with the two edits, and what runs Python on them."""
    folder = tmp_path_factory.mktemp("edited")
    for part in ("src", "tests"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    for path, text in EDITS:
        file = folder / path
        file.write_text(file.read_text(encoding="utf-8") + "\n\n" + text, encoding="utf-8")

    def python(*arguments):
        environment = os.environ | {"PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
        )

    return folder, python


def test_there_are_two_edits():
    assert [path for path, _ in EDITS] == [
        "src/gonio/losses/additive.py",
        "tests/contract/golden/survey.py",
    ]


def test_the_loss_is_in_the_table_a_head_and_a_choice_of_training(edited):
    folder, python = edited
    result = python("-c", USES, str(folder))
    assert result.returncode == 0, result.stderr
    assert f"{NAME}\nAdditive margin behind the scale" in result.stdout
    assert f"  name: {NAME}\n  margin: 2.0\n  scale: 30.0\n" in result.stdout


def test_the_loss_is_held_to_every_point_of_the_contract(edited):
    _, python = edited
    contract = ("tests/contract/test_contract.py", "-k", f"{NAME} or every_row_has_a_formula")
    result = python("-m", "pytest", "-v", "-p", "no:cacheprovider", *contract)
    assert result.returncode == 0, result.stdout
    of_engines = {"same by another engine", "second backward", "torch.compile"}
    for point in set(POINTS) - of_engines:
        assert re.search(f"{NAME}-{point}".replace("±", ".*"), result.stdout)
