"""What can go wrong for a user, each with the exit code that a script may rely on."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the command line."""

    OK = 0
    FAILURE = 1
    USER_ERROR = 2
    REFUSED = 3
    NOT_PROMOTED = 4
    INTERRUPTED = 130  # as shells tell it: 128 and the number of SIGINT


class CrossliftError(Exception):
    """A failure that is told to the user in one message, without a stack trace."""

    exit_code = ExitCode.FAILURE


class UserError(CrossliftError):
    """Something the user wrote, named or brought cannot be used; repeating it does not help."""

    exit_code = ExitCode.USER_ERROR


class ConfigError(UserError):
    """A scenario, a form value or an option is wrong."""


class DataError(UserError):
    """A table cannot be read or mapped to the canonical columns."""


class RefusedError(CrossliftError):
    """The data was read but broke a rule that stops the run."""

    exit_code = ExitCode.REFUSED


class Interrupted(CrossliftError):  # noqa: N818  nothing went wrong
    """A person, or the machine, asked the command to end; the message says how to go on."""

    exit_code = ExitCode.INTERRUPTED


class MissingResultError(CrossliftError):
    """A step was started before one that it needs had succeeded in the same run."""


class StorageError(CrossliftError):
    """The disk is full, or a folder cannot be written or is damaged; nothing was published."""
