"""What a user names by `module:attribute`: a loss of their own, or a stranger's to be checked.

Only a name that was typed, in code or on the command line, is ever imported. One that a file names (a
configuration, a model) is text of a stranger until the command line allows it by `--import`.
"""

import contextlib
import importlib
import operator
import os
import sys
from collections.abc import Collection, Iterator
from typing import Any

from gonio.base.errors import ConfigError


def imported(name: str, allowed: Collection[str]) -> Any:
    """The attribute of an installed module, or of one in the current folder.

    Args:
        name: `package.module:attribute`; the attribute may have dots too.
        allowed: see `check_allowed`; a name that was typed is `(name,)`.

    Raises:
        ConfigError: it is not allowed, or cannot be imported.
    """
    check_allowed(name, allowed)
    module, _, attribute = name.partition(":")
    try:
        with _current_folder():
            return operator.attrgetter(attribute)(importlib.import_module(module))
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{name}: it cannot be imported: {said(error)}{_mend(error)}") from error


def check_allowed(name: str, allowed: Collection[str]) -> None:
    """Refuse to run code that only a file names.

    Args:
        name: `package.module:attribute`.
        allowed: what may be imported: names like that, or modules and packages as a whole.

    Raises:
        ConfigError: none of them is the name or holds it.
    """
    module, _, _ = name.partition(":")
    parts = module.split(".")
    holders = (".".join(parts[:end]) for end in range(1, len(parts) + 1))
    if name not in allowed and not any(holder in allowed for holder in holders):
        raise ConfigError(
            f"{name}: a file names this code, which is not run unless you say so; if you trust it, add "
            f"--import {name}"
        )


def said(error: BaseException) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {error}"


def _mend(error: BaseException) -> str:
    """What may help against an error that the spelling may have caused."""
    if not isinstance(error, ImportError | AttributeError | ValueError):
        return ""
    return "; it is spelled module:name, and its folder is the current one or on PYTHONPATH"


@contextlib.contextmanager
def _current_folder() -> Iterator[None]:
    """Modules in the current folder can be imported, behind all others."""
    before = list(sys.path)
    sys.path.append(os.getcwd())
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = before
