"""What a user names by `module:attribute`: a loss of their own, or a stranger's to be checked.

Only a name that was typed, on the command line or in a configuration, is ever imported.
"""

import contextlib
import importlib
import operator
import os
import sys
from collections.abc import Iterator
from typing import Any

from gonio.base.errors import ConfigError


def imported(name: str) -> Any:
    """The attribute of an installed module, or of one in the current folder.

    Args:
        name: `package.module:attribute`; the attribute may have dots too.

    Raises:
        ConfigError: it cannot be imported.
    """
    module, _, attribute = name.partition(":")
    try:
        with _current_folder():
            return operator.attrgetter(attribute)(importlib.import_module(module))
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{name}: it cannot be imported: {said(error)}{_mend(error)}") from error


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
