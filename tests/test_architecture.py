"""The house's own rules: who may import whom, what no file may mention, how large a file may be."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import gonio
from gonio import losses

SOURCE = Path(gonio.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))

ALLOWED = {
    "base": set(),
    "watch": set(),
    "ranks": set(),
    "reduction": set(),
    "rules": {"base", "equation", "ranks"},  # of `equation` the types, for annotations alone
    "equation": {"rules"},
    "targets": {"base", "equation", "rules"},
    "margin_loss": {"base", "equation", "ranks", "rules", "targets"},
    "batchwise": {"base", "equation", "margin_loss"},
    "measure": {"base", "equation", "rules"},
    "losses": {"base", "equation", "rules"},
    "engines": {"base", "equation", "ranks", "rules"},
    "optimizer_in_backward": {"base", "engines", "equation", "margin_loss", "ranks", "targets"},
    "head": {
        "base",
        "batchwise",
        "engines",
        "equation",
        "losses",
        "margin_loss",
        "measure",
        "optimizer_in_backward",
        "reduction",
        "rules",
        "targets",
        "watch",
    },
    "data": {"base"},
    "models": {"base"},
    "evaluate": {"base"},
    "figures": {"base", "engines", "equation", "evaluate", "head", "losses", "rules"},
    "train": {
        "base",
        "data",
        "evaluate",
        "figures",
        "head",
        "losses",
        "models",
        "rules",
        "targets",
    },
    "contract": {"base", "equation", "head", "rules"},
    "cli": {
        "base",
        "contract",
        "data",
        "equation",
        "evaluate",
        "figures",
        "losses",
        "rules",
        "train",
    },
}
"""Part -> the parts that it may import. Nobody imports `cli`."""


def part_of(path):
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "gonio":
            yield from (f"gonio.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_flow_one_way(path):
    part = part_of(path)
    if part.startswith("__"):
        return
    used = {name.split(".")[1] for name in imports(path) if name.startswith("gonio.")}
    used -= {part, "__version__"}
    assert used <= ALLOWED[part]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_file_grows_past_350_lines(path):
    assert len(path.read_text().splitlines()) <= 350


def test_no_backend_head_or_trainer_mentions_a_loss():
    """Two mentions are data: the default of a head and of a training run."""
    found = []
    for part in ("engines", "head.py", "watch.py", "train", "cli", "evaluate", "data", "models"):
        root = SOURCE / part
        for path in [root] if root.is_file() else sorted(root.rglob("*.py")):
            tree = ast.parse(path.read_text())
            strings = {
                node.value
                for node in ast.walk(tree)
                if isinstance(node, ast.Constant) and isinstance(node.value, str)
            }
            names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
            attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
            rows = set(losses.names())
            functions = {name.replace("-", "_") for name in rows}
            mentions = (strings & rows) | ((names | attributes) & functions - {"softmax"})
            found += [f"{path.relative_to(SOURCE)}: {name}" for name in sorted(mentions)]
    assert found == ["head.py: arcface", "train/config.py: arcface"]


def test_importing_gonio_stays_light():
    code = "import sys, gonio; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"triton", "matplotlib", "sklearn", "PIL", "rich", "jsonargparse", "gonio.cli"}
    assert heavy.isdisjoint(run.stdout.split())
