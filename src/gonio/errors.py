"""The failures that end a command, each with the exit code that a shell sees.

Bad arguments of library functions are plain `ValueError` and `TypeError`.
"""


class GonioError(Exception):
    """A failure with a message for a person; the command line prints it in one line."""

    exit_code = 1


class ConfigError(GonioError, ValueError):
    """A setting, name or option that cannot be used."""

    exit_code = 2


class DataError(GonioError):
    """Data that cannot be read or does not hold what the job needs."""

    exit_code = 3


class CheckpointError(GonioError):
    """A run or checkpoint that is missing, damaged, or belongs to other settings."""

    exit_code = 4
