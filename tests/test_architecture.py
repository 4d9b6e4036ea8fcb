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

MODULES = {
    ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in FILES
}
ROOMS = (
    "base",
    "ranks",
    "rules",
    "ranks",
    "loss",
    "losses",
    "engines",
    "columns",
    "targets",
    "pairs",
    "equation",
    "anchors",
    "optimizer_in_backward",
    "head",
    "settings",
    "contract",
    "data",
    "models",
    "evaluate",
    "figures",
    "runs",
    "train",
    "cli",
)
"""Bottom up. A room imports only from rooms below it."""


def part_of(path):
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from [name for name in inside if name in MODULES] or [node.module]


def rooms_above(path):
    """What a file imports from its own floor or above, its own room apart."""
    room = part_of(path)
    used = {name.split(".")[1] for name in imports(path) if name.startswith("gonio.")}
    above = ROOMS[ROOMS.index(room) :]
    return sorted(used.intersection(above) - {room})


def test_every_import_goes_down():
    files = [path for path in FILES if not part_of(path).startswith("__")]
    assert {part_of(path) for path in files} == set(ROOMS)
    found = {str(path.relative_to(SOURCE)): rooms_above(path) for path in files}
    assert {path: rooms for path, rooms in found.items() if rooms} == {}


def circles():
    """Files that reach each other by imports."""
    reached = {name: MODULES.keys() & set(imports(path)) for name, path in MODULES.items()}
    for middle in MODULES:
        for onwards in reached.values():
            if middle in onwards:
                onwards |= reached[middle]
    return sorted(name for name, onwards in reached.items() if name in onwards)


def test_no_file_imports_itself_by_way_of_others():
    assert circles() == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_file_grows_past_350_lines(path):
    assert len(path.read_text().splitlines()) <= 350


def test_no_backend_head_or_trainer_mentions_a_loss():
    """Two mentions are data: the default of a head and of a training run."""
    found = []
    for part in ("engines", "head", "train", "runs", "cli", "evaluate", "data", "models"):
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
    assert found == ["head/head.py: arcface", "train/config.py: arcface"]


def test_importing_gonio_stays_light():
    code = "import sys, gonio; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"triton", "matplotlib", "sklearn", "PIL", "rich", "yaml", "gonio.cli"}
    assert heavy.isdisjoint(run.stdout.split())
