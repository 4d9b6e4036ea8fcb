import json
import sys

import pytest

from gonio.contract import POINTS

RIGHT = "contract_of_strangers.wrong:Right"
MINE = """
import gonio

def sharp(margin=0.3):
    return gonio.losses.cosface(margin=margin)
"""

TALKS = """
from contract_of_strangers.wrong import Right

print("imported")

class Talks(Right):
    def __init__(self, num_classes, embedding_dim):
        super().__init__(num_classes, embedding_dim)
        print("made")

    def forward(self, embeddings, labels):
        print("called")
        return super().forward(embeddings, labels)
"""


def test_a_loss_of_ours_passes(gonio):
    result = gonio("check", "cosface")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("cosface")
    for check in POINTS:
        assert f" {check} " in result.out
    assert " fail " not in result.out
    assert "largest error against the reference engine" in result.out


def test_a_strangers_failure_ends_with_1_and_its_input(gonio):
    result = gonio("check", "contract_of_strangers.wrong:Arccos")
    assert result.code == 1
    assert result.err == (
        "gonio: error: contract_of_strangers.wrong:Arccos fails 2 of 20: "
        "target falls with its angle, finite at cosine ±1\n"
    )
    assert "finite at cosine ±1 fails for\n    embeddings = torch.tensor([[" in result.out
    assert "not applicable" in result.out


def test_it_can_be_compared_with_a_loss_of_the_table(gonio):
    claim = "{name: cosface, scale: 8, margin: 0.35}"
    result = gonio("check", RIGHT, "--as", claim, "--json")
    assert result.code == 0
    about = json.loads(result.out)
    assert about["name"] == RIGHT
    assert about["as"] == "cosface, scale 8, margin 0.35"
    assert (about["num_classes"], about["embedding_dim"]) == (7, 5)
    assert list(about["checks"]) == list(POINTS)
    unasked = [name for name, one in about["checks"].items() if one["status"] != "pass"]
    assert unasked == ["same by another engine"]
    result = gonio("check", RIGHT, "--as", claim, "--set", "margin=0.3", "--json")
    assert result.code == 1
    failed = json.loads(result.out)["checks"]["value is the formula's"]
    assert failed["number"] > 1e-3
    assert len(failed["smallest"]["labels"]) == 1


def test_what_is_detached_by_definition_is_told_by_a_flag(gonio):
    name = "contract_of_strangers.wrong:StraightThrough"
    slope = {"gradient is the derivative", "gradient near cosine ±1"}
    for flags, failing in ((), slope), (("--detached",), set()):
        result = gonio("check", name, "--json", *flags)
        points = json.loads(result.out)["checks"]
        found = {point for point in slope if points[point]["status"] == "fail"}
        assert found == failing
    assert points["gradient is the derivative"]["number"] > 0.1


def test_what_a_loss_prints_does_not_meet_the_answer(gonio, tmp_path, monkeypatch):
    (tmp_path / "talks.py").write_text(TALKS)
    monkeypatch.chdir(tmp_path)
    assert "checks" in json.loads(gonio("check", "talks:Talks", "--json").out)


def test_sizes_are_those_of_the_command_line(gonio):
    result = gonio("check", RIGHT, "--num-classes", "9", "--embedding-dim", "4", "--json")
    assert json.loads(result.out)["num_classes"] == 9
    assert "[0, 9)" in json.loads(result.out)["checks"]["labels out of range"]["what"]


def test_the_current_folder_is_looked_in(gonio, tmp_path, monkeypatch):
    (tmp_path / "my_margins.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    assert gonio("check", "my_margins:sharp", "--set", "margin=0.2").code == 0
    assert sys.path == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["arcfaec"], "did you mean 'arcface'?"),
        (["some.package.Loss"], "is spelled package.module:Class"),
        (["no_such_package:Loss"], "No module named 'no_such_package'"),
        (["arcface", "--set", "margin"], "--set: got 'margin'; it must be SETTING=VALUE"),
        (["arcface", "--set", "margni=0.3"], "loss.margni"),
        (["arcface", "--set", "margin=28.6"], "if degrees were meant, write 0.4992"),
        ([RIGHT, "--set", "margni=0.3"], "--set margni"),
        ([RIGHT, "--as", "arcfaec"], "did you mean 'arcface'?"),
        ([RIGHT, "--as", "{margin: 1}"], "give a name or {name: NAME, SETTING: VALUE}"),
        (["arcface", "--set", "margin={values: [0.1]}"], "margin: 1 numbers for 13 classes"),
        ([RIGHT, "--num-classes", "1"], "--num-classes: got 1; it must be in [2, 65535]"),
        ([RIGHT, "--embedding-dim", "2"], "--embedding-dim: got 2; it must be in [3, 65535]"),
        ([], "required: NAME"),
    ],
)
def test_what_cannot_be_checked_is_refused(refused, arguments, said):
    assert said in refused(2, "check", *arguments)


def test_help_has_examples(gonio):
    assert "\n            gonio check " in gonio("--help").out
    assert "\n  gonio check arcface\n" in gonio("check", "--help").out
