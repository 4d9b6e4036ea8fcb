"""A loss of the user's own: the example of the docs, and what is wrong with one that cannot be used."""

import json
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
import torch
import yaml

import gonio
from cli.conftest import DIGITS, run
from gonio import losses
from gonio.engines import Chunked

PAGE = (Path(__file__).parents[1] / "docs" / "own-loss.md").read_text(encoding="utf-8")
EXAMPLE, IN_PYTHON = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
(SHELL,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Put a `my_losses.py` into the current folder, which is this test's own."""
    monkeypatch.chdir(tmp_path)
    yield (tmp_path / "my_losses.py").write_text
    sys.modules.pop("my_losses", None)


def test_the_rule_of_the_docs_is_ten_lines():
    rule = EXAMPLE.partition("@dataclass")[2].partition("\n\n\n")[0]
    assert len(rule.splitlines()) <= 10


# torch.compile, which `gonio check` tries, warns of torch's own doings
@pytest.mark.filterwarnings("ignore")
def test_the_commands_of_the_docs_work_on_the_loss_of_the_docs(write, tmp_path):
    write(EXAMPLE)
    before = list(sys.path)
    outputs = []
    for line in SHELL.splitlines():
        command, *arguments = shlex.split(line)
        assert command == "gonio"
        result = run(*arguments)
        assert result.code == 0, result.err
        outputs.append(result.out)
    assert sys.path == before
    _, page, trained, resumed, evaluated = outputs
    assert "margin = 0.4\n      m in [0, 2), in units of the cosine." in page
    for out in (trained, resumed, evaluated):
        assert "TAR at FAR" in out
    folder = tmp_path / "runs" / "mine"
    loss = {"name": "my_losses:my_loss", "margin": 0.3, "scale": 32.0}
    assert yaml.safe_load((folder / "config.yaml").read_text())["loss"] == loss
    assert json.loads((folder / "model.json").read_text())["loss"] == loss
    steps = [json.loads(line)["step"] for line in (folder / "metrics.jsonl").open()]
    assert steps[-1] == 36


@pytest.mark.filterwarnings("ignore")
def test_a_target_that_rises_is_found_out_as_the_docs_say(write):
    write(EXAMPLE)
    assert "`--set margin=3`" in PAGE.replace("\n", " ")
    result = run("check", "my_losses:my_loss", "--set", "margin=3")
    assert result.code == 1
    assert "target falls with its angle" in result.err


def test_the_head_of_the_docs_is_built(write, tmp_path):
    write(EXAMPLE)
    made = runpy.run_path(str(tmp_path / "my_losses.py"))
    exec(IN_PYTHON, made)
    head = made["head"]
    assert (head.backend, head.loss.target.margin) == (Chunked(), 0.3)
    assert head(torch.randn(4, 128), torch.tensor([0, 999, 5, 5])) > 0


@pytest.mark.parametrize("backend", ["reference", "chunked", gonio.engines.Chunked(3)], ids=str)
def test_every_backend_serves_it_with_the_right_gradient(write, backend):
    write(EXAMPLE)
    head = gonio.Head(4, 7, "my_losses:my_loss", backend=backend, dtype=torch.float64)
    embeddings = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 6, 3, 3, 1])

    def loss(embeddings, weight):
        given = (embeddings, labels)
        return torch.func.functional_call(head, {"weight": weight}, given, {"reduction": "none"})

    # by hand, in the words of the docs
    cosines = torch.nn.functional.cosine_similarity(embeddings[:, None], head.weight, dim=2)
    own = torch.nn.functional.one_hot(labels, 7)
    scores = 32 * (cosines - own * 0.4 * (1 + cosines) / 2)
    expected = torch.nn.functional.cross_entropy(scores, labels, reduction="none")
    torch.testing.assert_close(loss(embeddings, head.weight), expected)
    # a scale of 32 makes differences of 1e-6 that much coarser
    assert torch.autograd.gradcheck(loss, (embeddings, head.weight), atol=1e-5, rtol=1e-4)


def test_a_schedule_and_a_number_for_each_class_can_be_given(write, tmp_path):
    write(EXAMPLE)
    for number, margin in enumerate(
        ({"start": 0, "end": 0.4, "steps": 9}, {"values": [0.1 * label for label in range(8)]})
    ):
        out = tmp_path / f"run{number}"
        result = run(
            "train", *DIGITS, "--loss", "my_losses:my_loss", "--loss.margin", margin, "--out", out
        )
        assert result.code == 0, result.err
        assert yaml.safe_load((out / "config.yaml").read_text())["loss"]["margin"] == margin


BARE = """
import gonio
from gonio.rules import Fixed, PerClass, Quantity

def my_loss(margin: float | Quantity = PerClass([0.2] * 8), word: str = "50 %") -> gonio.Loss:
    return gonio.Loss(Fixed(9.0), gonio.rules.Subtract(margin))
"""


def test_a_function_without_a_docstring_is_enough(write, tmp_path):
    write(BARE)
    page = run("losses", "my_losses:my_loss")
    assert "margin = {values: [0.2" in page.out
    assert "word = 50 %" in page.out
    assert run("train", "--loss", "my_losses:my_loss", "--help").code == 0
    arguments = ("train", *DIGITS, "--loss", "my_losses:my_loss", "--out", tmp_path / "run")
    assert run(*arguments).code == 0
    resumed = run(*arguments, "--resume")
    assert resumed.code == 0, resumed.err


def test_a_run_without_a_name_gets_a_folder_that_any_system_can_hold(write, tmp_path):
    write(BARE)
    assert run("train", *DIGITS, "--loss", "my_losses:my_loss").code == 0
    assert (tmp_path / "runs" / "digits-my_losses-my_loss-1").is_dir()


ROW = '''
from gonio import Loss, losses
from gonio.rules import Fixed, Subtract

@losses.row
def my_loss(margin: float = 0.3) -> Loss:
    """A margin.

        target = cos t_y - m

    Args:
        margin: m >= 0.

    Source: this test, 2026.
    """
    return Loss(Fixed(9.0), Subtract(margin))
'''


def test_a_function_may_be_a_row(write, monkeypatch):
    monkeypatch.setattr(losses.table, "_ROWS", dict(losses.table._ROWS))
    write(ROW)
    found = losses.get("my_losses:my_loss")
    assert (found.name, found.source) == ("my_losses:my_loss", "this test, 2026.")
    assert found.loss(margin=0.1) == losses.get("my-loss").loss(margin=0.1)


START = "import gonio\ndef my_loss"
WRONG = {
    "no module": (None, "No module named 'my_losses'"),
    "no function": ("", "has no attribute 'my_loss'"),
    "a broken module": ("def (", "SyntaxError: invalid syntax (my_losses.py, line 1)"),
    "a module that ends": ("exit(0)", "cannot be imported: SystemExit: 0"),
    "no function of Python": ("my_loss = 3", "my_losses:my_loss is a int; name a function"),
    "a function of C": ("from os import abort as my_loss", "is a builtin_function_or_method; name"),
    "another result": (f"{START}(): exit()", "write 'def my_loss(...) -> gonio.Loss'"),
    "no type": (f"{START}(margin=0.3): ...", "'margin' needs a type and a default"),
    "no default": (f"{START}(margin: float): ...", "'margin' needs a type and a default"),
    "open": (f"{START}(**margins: float): ...", "'margins' needs a type and a default"),
    "a type of nowhere": (f"{START}(margin: 'Margin' = 3): ...", "NameError: name 'Margin'"),
    "no loss": (
        f"{START}(margin: float = 1) -> gonio.Loss: ...",
        "returns a value of the type NoneType",
    ),
    "a failure": (
        f"{START}(margin: float = 1) -> gonio.Loss: return 1 / 0",
        "fails: ZeroDivisionError",
    ),
    "no plain type": (
        f"{START}(scale: list = []) -> gonio.Loss: return gonio.losses.arcface()",
        "loss.scale: its type <class 'list'> cannot be written in a file",
    ),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_one_that_cannot_be_used_is_refused_in_one_line(write, text, message):
    if text is not None:
        write(text)
    result = run("train", "--loss", "my_losses:my_loss", *DIGITS)
    assert (result.code, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert line.startswith("gonio: error: loss")
    assert message in line


def test_a_setting_that_it_refuses_is_named_with_the_reason(write):
    write(BARE)
    result = run("train", "--loss", "my_losses:my_loss", "--loss.margin", "-3", *DIGITS)
    assert result.code == 2
    assert "'margin': -3" in result.err
    assert "margin: -3.0 is out of range [0, 1e+30]" in result.err
    assert (
        "did you mean --loss.margin"
        in run("train", "--loss", "my_losses:my_loss", "--loss.margn", "1").err
    )
