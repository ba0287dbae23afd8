"""
What went wrong, sorted by what to do about it: refuse, try again, dead-letter, or stop.

Pure module: domains may import it. Only the edge of a service turns these into a status code, a dead letter
or an exit.
"""

from __future__ import annotations

from collections.abc import Sequence


class TidemarkError(Exception):
    """The root of all errors that Tidemark raises on purpose."""


class Rejected(TidemarkError):
    """
    The sender's fault: refuse it, say why, never retry it unchanged.

    `code` is for machines, `field` the path of the field at fault, `detail` for people.
    """

    def __init__(self, code: str, field: str = "", detail: str = "") -> None:
        super().__init__(": ".join(part for part in (code, field, detail) if part))
        self.code = code
        self.field = field
        self.detail = detail


class Retryable(TidemarkError):
    """Nobody's fault and likely to pass: the same request may succeed later."""

    def __init__(self, detail: str = "", retry_after_s: float = 1.0) -> None:
        """Take a `detail` for people and the number of seconds to wait before the next attempt."""
        super().__init__(detail)
        self.detail = detail
        self.retry_after_s = retry_after_s


class Poison(TidemarkError):
    """
    A record of the log that can never be applied: dead-letter it, count it, go on.

    `reason` is for machines, `field` the path of the field at fault, `detail` for people.
    """

    def __init__(self, reason: str, field: str = "", detail: str = "") -> None:
        super().__init__(": ".join(part for part in (reason, field, detail) if part))
        self.reason = reason
        self.field = field
        self.detail = detail


class KeyFault(TidemarkError):
    """
    One key of a lane's state (an account) cannot be worked on; the record that was folded is not at fault.

    Raised by a processor out of a fold, with the exception at fault as its cause. The engine restores the lane, tells the
    processor to set that key apart, and folds the record again.
    """

    def __init__(self, key: str, detail: str) -> None:
        super().__init__(f"{key}: {detail}")
        self.key = key
        self.detail = detail


class Fatal(TidemarkError):
    """The process cannot go on safely: exit, and let the supervisor start a new one. `detail` says what to do, where known."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail


class UnknownVersion(Fatal):
    """Something on the log is of a version that this code does not know: install the one that wrote it, or a later one."""


class IncompatibleState(UnknownVersion):
    """State was written in a newer format than this code reads."""


class WrongArgument(Fatal):
    """An argument of the tool, or a file that one names, cannot be used, alone or beside another; nothing was done."""


class ConfigurationError(Fatal):
    """The configuration cannot be used; carries every problem found, each with the name of its variable."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("the configuration cannot be used:\n" + "\n".join(f"  - {p}" for p in problems))
        self.problems = tuple(problems)


class Misfit(ConfigurationError):
    """Settings and files are valid, but the cluster, or the data in it, does not match or accept them."""
