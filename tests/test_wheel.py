"""The wheel, built and imported from an empty folder: a file that was forgotten shows here."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
USE = """
import sys, torch, gonio
assert gonio.__file__.startswith(sys.argv[1]), gonio.__file__
head = gonio.Head(4, 3, loss=gonio.losses.arcface(margin=0.3))
print(head(torch.randn(2, 4), torch.tensor([0, 2])).item() > 0, len(gonio.losses.names()))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT],
        check=True,
    )
    (wheel,) = folder.glob("gonio-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", folder / "site", wheel], check=True)
    return folder / "site"


def test_public_api_works_from_the_wheel(installed, tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", USE, str(installed)],
        env=os.environ | {"PYTHONPATH": str(installed)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == ["True", str(len(__import__("gonio").losses.names()))]


def test_wheel_holds_every_source_file(installed):
    source = ROOT / "src"
    kept = {p.relative_to(source) for p in source.rglob("*") if p.suffix in (".py", ".typed")}
    packed = {p.relative_to(installed) for p in installed.rglob("*")}
    assert kept <= packed
