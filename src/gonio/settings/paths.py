"""Whether a text can be the path of a file at all, by asking the system before any work."""

import contextlib
import os
from pathlib import Path

from gonio.base.errors import ConfigError
from gonio.settings.fit import shortly

ABSENT = (FileNotFoundError, NotADirectoryError, PermissionError)
"""What is said of a path that could be."""


def check_path(name: str, path: str) -> None:
    """Refuse a path that can never be, such as one with a name of 300 letters. It need not exist.

    Raises:
        ConfigError: names the setting or option.
    """
    try:
        home = os.path.expanduser(path)
        for one in (home, *Path(home).parts):
            with contextlib.suppress(*ABSENT):
                os.lstat(one)
    except ValueError as error:  # a NUL, or half a surrogate pair
        raise ConfigError(f"{name}: got {shortly(path)}, which no path can hold") from error
    except OSError as error:
        raise ConfigError(f"{name}: {shortly(path)}: {error.strerror}") from error


def check_output(name: str, path: Path) -> None:
    """Refuse a file that could not be written, before what is to be written is computed.

    Raises:
        ConfigError: names the option.
    """
    check_path(name, str(path))
    if path.is_dir():
        raise ConfigError(f"{name}: {path} is a folder; give the path of a file")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"{name}: the folder {path.parent} does not exist; make it first")
