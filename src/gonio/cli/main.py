"""The command `gonio`: finds the sub-command, and turns failures into one line and an exit code.

Nothing heavy is imported before a sub-command is known.
"""

import importlib
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from importlib.metadata import version

from gonio.base.errors import GonioError, no_such
from gonio.base.text import shown

HELP = """\
usage: gonio COMMAND [options]

Train embeddings with softmax-based losses with margins, and prove how good they are.

  train     train embeddings, then verify identities that were never trained on
            gonio train --data glyphs --loss arcface --loss.margin 0.4
            gonio train --config runs/glyphs-arcface-1/config.yaml --resume
            gonio train --data glyphs --backend sampled --backend.rate 0.1
  evaluate  verify unseen identities with trained runs, side by side
            gonio evaluate runs/glyphs-softmax-1 runs/glyphs-arcface-1 --untrained
            gonio evaluate runs/glyphs-arcface-1 --data digits --json report.json
  losses    show the table of losses, or one of them with its equation
            gonio losses
            gonio losses arcface
  figure    draw a picture of losses
            gonio figure --list
            gonio figure target-curves --loss arcface --loss cosface -o curves.svg
  check     hold any loss to the contract, ours or that of another package
            gonio check arcface
            gonio check my_losses:MyLoss --as '{name: arcface, margin: 0.3}'

  gonio COMMAND --help    every option of a command
  gonio --version         the version
  --debug                 with any command: the traceback of a failure

exit codes: 0 ok, 1 failure, 2 usage or configuration, 3 data, 4 checkpoint, 130 interrupted
"""

COMMANDS = ("train", "evaluate", "losses", "figure", "check")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `gonio` with these arguments, by default those of the process; return the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    is_debugging = "--debug" in given
    with warnings.catch_warnings():
        warnings.filterwarnings("always", category=UserWarning)
        warnings.showwarning = lambda message, *_: _say(f"warning: {message}")
        try:
            _dispatch([argument for argument in given if argument != "--debug"])
            sys.stdout.flush()
        except BrokenPipeError:  # `gonio losses | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except Exception as error:
            if is_debugging:
                traceback.print_exc()
            _say(f"error: {_reason(error)}")
            return error.exit_code if isinstance(error, GonioError) else 1
        except KeyboardInterrupt:
            _say("interrupted")
            return 130
    return 0


def _dispatch(arguments: list[str]) -> None:
    command, *rest = arguments or ["--help"]
    if command in ("-h", "--help", "help"):
        print(HELP, end="")
    elif command == "--version":
        print(f"gonio {version('gonio')}")
    else:
        if command not in COMMANDS:
            raise no_such("command", command, COMMANDS)
        # Threads of torch that wait by spinning are 20 times slower beside another busy process.
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        importlib.import_module("gonio.cli.output").prepare()
        importlib.import_module(f"gonio.cli.{command}").run(rest)


def _reason(error: Exception) -> str:
    if isinstance(error, GonioError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    if _is_of_memory(error):
        first, *_ = str(error).splitlines() or [""]
        mend = "out of memory: a smaller batch, image, embedding or number of classes needs less"
        return first if first.startswith("out of memory") else f"{mend} ({first})"
    return f"{type(error).__name__}: {error}; --debug shows where"


def _is_of_memory(error: Exception) -> bool:
    """Whether Python, numpy or torch (on a device; on the CPU) could not get memory."""
    is_named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return is_named or any(one in str(error) for one in TOO_LARGE)


TOO_LARGE = ("can't allocate memory", "Storage size calculation overflowed")
"""In a `RuntimeError` of torch."""


def _say(text: str) -> None:
    """One line on standard error; names in it are shown escaped."""
    print("gonio:", shown(" ".join(text.split())), file=sys.stderr)
