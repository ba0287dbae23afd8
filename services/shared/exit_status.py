"""
With which status a process ends; docs/errors.md has the list.

A supervisor starts again what ended with 1 or 70, and leaves alone what ended with 0, 2 or 78.
"""

from __future__ import annotations

from services.shared.errors import ConfigurationError, IncompatibleState, Misfit, WrongArgument

STOPPED = 0
"""As asked, by SIGTERM, SIGINT or SIGHUP."""

FATAL = 1
"""It cannot go on, for a reason that may pass: a new process may do better."""

WRONG_SETTINGS = 2
"""A setting, a file that one names, or an argument cannot be used; nothing was started."""

FAIL_STOP = 70
"""Memory may be ahead of the log: a new process is the only safe way on."""

REFUSED = 78
"""The cluster, or the state on it, does not fit this process: a new one would meet the same. An operator has to act."""


def of(error: BaseException) -> int:
    """Return the status for a process that has begun its work and ends by an error."""
    if isinstance(error, Misfit | IncompatibleState):
        return REFUSED
    return WRONG_SETTINGS if isinstance(error, ConfigurationError | WrongArgument) else FATAL
