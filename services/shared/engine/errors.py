"""What stops a lane or the process that runs it, each with what to do about it."""

from __future__ import annotations

from services.shared import exit_status
from services.shared.errors import Fatal, TidemarkError

EXIT_FAIL_STOP = exit_status.FAIL_STOP
EXIT_REFUSED = exit_status.REFUSED


class LaneStopped(TidemarkError):
    """A lane that cannot go on by itself; the other lanes of the worker do, readiness turns red."""

    reason = "stopped"


class SourceGap(LaneStopped):
    """Records that the lane has not folded are gone from its source, most likely by retention."""

    reason = "gap"

    def __init__(self, topic: str, partition: int, expected: int, found: int) -> None:
        """Take the offset that should have come next and the one that did."""
        super().__init__(
            f"{topic}/{partition}: offset {expected} should come next, but the log goes on at {found}: "
            f"{found - expected} records are gone. Set TIDEMARK_ENGINE_ACCEPT_GAP=true to go on without them."
        )
        self.expected = expected
        self.found = found


class ChangelogBehind(LaneStopped):
    """The group has committed more than the changelog holds: the changelog has lost records."""

    reason = "changelog_behind"

    def __init__(self, topic: str, partition: int, committed: int, position: int | None) -> None:
        """Take the committed offset of the group and the position that the changelog holds, None without one."""
        held = "holds no position" if position is None else f"ends at {position}"
        super().__init__(
            f"{topic}/{partition}: the group has committed offset {committed}, but the changelog {held}. Restore "
            "the changelog topic, or delete the group's offsets to fold the whole source again."
        )


class TooManyRaises(LaneStopped):
    """So many records in a row made the fold raise that the code, not the records, must be wrong."""

    reason = "raises"


class FoldRaised(TidemarkError):
    """A fold left its core in an unknown state: restore the core, put that record aside, fold again."""

    def __init__(self, offset: int | None, cause: BaseException, step: int = 0) -> None:
        """Take the offset at fault, None where it is one of those since the last cut, and its good steps."""
        super().__init__(f"offset {offset}: {type(cause).__name__}: {cause}")
        self.offset = offset
        self.step = step
        self.cause = cause


class FailStop(Fatal):
    """Memory may be ahead of the log, or another worker owns the lane: leave at once, commit nothing more."""


class SourceBehind(LaneStopped):
    """The source ends before the lane's position: it was truncated or made anew."""

    reason = "source_behind"

    def __init__(self, topic: str, partition: int, end: int, position: int) -> None:
        """Take the end of the source and the position of the lane."""
        super().__init__(
            f"{topic}/{partition}: the log ends at {end}, but the lane has folded up to {position}. The topic has lost "
            "records or was made anew: restore it, or delete the changelogs and the group's offsets to start over."
        )
