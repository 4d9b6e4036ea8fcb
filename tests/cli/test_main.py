import resource
import subprocess
import sys
from importlib.metadata import version

import pytest

from gonio import losses


def shell(*arguments, **keywords):
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=60, **keywords
    )


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_come_at_once_without_torch(option):
    code = (
        "import sys; from gonio.cli.main import main; code = main(sys.argv[1:]);"
        "sys.exit('torch' in sys.modules or code)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = shell("-c", code, option)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert result.returncode == 0, "torch was imported"
    assert result.stdout
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5


def test_help_has_an_example_of_every_command(gonio):
    result = gonio("--help")
    assert result.code == 0
    for command in ("train", "evaluate", "losses", "figure"):
        assert f"\n            gonio {command}" in result.out
        help_of_command = gonio(command, "--help")
        assert help_of_command.code == 0
        assert f"  gonio {command} " in help_of_command.out
    assert gonio().out == result.out


def test_version(gonio):
    assert gonio("--version").out == f"gonio {version('gonio')}\n"


def test_the_module_is_the_command():
    result = shell("-m", "gonio", "losses", "--json")
    assert result.returncode == 0
    assert all(f'"name": "{name}"' in result.stdout for name in losses.names())
    result = shell("-m", "gonio", "trian")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "did you mean train?" in result.stderr


def test_a_closed_pipe_is_no_failure():
    command = f"{sys.executable} -m gonio losses --json | head -n 1"
    result = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True)
    assert (result.returncode, result.stderr) == (0, b"")


def test_a_traceback_comes_only_with_debug(gonio, refused):
    assert "Traceback" not in refused(2, "losses", "nix")
    result = gonio("--debug", "losses", "nix")
    assert result.code == 2
    assert "Traceback" in result.err
    assert result.err.splitlines()[-1].startswith("gonio: error: ")


def test_an_unforeseen_failure_is_one_line_too(refused, monkeypatch):
    monkeypatch.setattr("gonio.losses.names", lambda: 1 / 0)
    assert "ZeroDivisionError: division by zero; --debug" in refused(1, "losses")


ESCAPE = "\x1b]0;owned\x07"


@pytest.mark.parametrize(
    "arguments",
    [
        (ESCAPE,),
        ("losses", ESCAPE),
        ("evaluate", ESCAPE),
        ("train", f"--{ESCAPE}", "1"),
        ("train", "--loss.margin", ESCAPE),
        ("train", "--config", ESCAPE),
        ("figure", ESCAPE, "-o", f"{ESCAPE}/x.svg"),
        ("check", f"os:{ESCAPE}"),
    ],
)
def test_control_bytes_of_names_are_shown_escaped(gonio, arguments):
    result = gonio(*arguments)
    assert result.code in (2, 4)
    assert result.err.rstrip("\n").isprintable()
    assert r"\x1b" in result.err


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError("out of memory: the scores need 5 MiB; a tile needs less"), "the scores need"),
        (MemoryError(), "out of memory: a smaller batch"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "a smaller batch"),
    ],
)
def test_too_little_memory_is_said_with_a_mend(refused, monkeypatch, error, said):
    def names():
        raise error

    monkeypatch.setattr("gonio.losses.names", names)
    line = refused(1, "losses")
    assert line.startswith("gonio: error: out of memory: ")
    assert said in line


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("train", "--lr", "0.1"), "--optimise.lr"),
        (("train", "--batch-size=8"), "--optimise.batch_size"),
        (("evaluate", "run", "--untraind"), "--untrained"),
        (("check", "arcface", "--num_classes", "3"), "--num-classes"),
        (("losses", "--jason"), "--json"),
        (("figure", "--lsit"), "--list"),
    ],
)
def test_an_option_that_is_nearly_one_finds_it(refused, arguments, meant):
    assert f"did you mean {meant}?" in refused(2, *arguments)
