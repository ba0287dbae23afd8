"""
What stops a lane or the process that runs it, each with what to do about it.

What processors raise (`Poison`, `KeyFault`, `UnknownVersion`) is in services/shared/errors.py, where domains may import it.
"""

from __future__ import annotations

from collections.abc import Mapping

from services.shared import exit_status
from services.shared.counts import counted
from services.shared.errors import Fatal, Misfit, TidemarkError

EXIT_FAIL_STOP = exit_status.FAIL_STOP
EXIT_REFUSED = exit_status.REFUSED
_REBUILD = "rebuild the lane (TIDEMARK_ENGINE_REBUILD, see docs/runbooks/TidemarkLaneStopped.md)"


class LaneStopped(TidemarkError):
    """A lane that cannot go on by itself; the other lanes of the worker do, readiness turns red."""

    reason = "stopped"
    clean = True
    """Whether the processor's state is known: what it has folded may still be committed."""


class SourceGap(LaneStopped):
    """Records that the lane has not folded are gone from its source, most likely by retention."""

    reason = "gap"

    def __init__(self, topic: str, partition: int, expected: int, found: int) -> None:
        super().__init__(
            f"{topic}/{partition}: offset {expected} should come next, but the log goes on at {found}: "
            f"{counted(found - expected, 'record is', 'records are')} gone. Set TIDEMARK_ENGINE_ACCEPT_GAP=true to go on without them."
        )
        self.topic = topic
        self.partition = partition
        self.expected = expected
        self.found = found


class ChangelogBehind(LaneStopped):
    """The group's offset is beyond what the changelog holds: that has lost records, or another program has moved the offset."""

    reason = "changelog_behind"

    def __init__(self, topic: str, partition: int, committed: int, position: int | None, *, moved: bool) -> None:
        """Take the group's offset, the position that the changelog holds, None without one, and whether no lane has committed the offset."""
        said = "holds no position" if position is None else f"ends at {position}"
        goes_on = "begins where its source begins" if position is None else f"goes on at {position}"
        restored = f"restore it, or {'delete it and ' if position is not None else ''}{_REBUILD}"
        advice = (
            "A lane writes something beside its offset, and this one has nothing there: somebody has moved the group's offsets. Delete"
            f" them while no worker runs: the lane {goes_on}. If the changelog has lost records as well, {restored}."
            if moved
            else f"A lane has committed that offset, so the changelog has lost records: {restored}."
        )
        super().__init__(
            f"{topic}/{partition}: the group has committed offset {committed}, but the changelog {said}. {advice}"
        )


class ChangelogRecreated(LaneStopped):
    """A changelog was deleted and created again while a worker had its state: it holds what changed since, and a position."""

    reason = "changelog_recreated"

    def __init__(self, topic: str, partition: int) -> None:
        super().__init__(
            f"{topic}/{partition}: the changelogs are not those that the group committed with: one was deleted and recreated, "
            f"and holds only what changed since. Delete the lane's changelogs and {_REBUILD}; or, if you restored all records of "
            "the changelog, delete the group's offsets alone."
        )


class ChangelogsApart(LaneStopped):
    """The changelogs of a lane do not end with the same transaction: what one says happened, the other has not seen."""

    reason = "changelogs_apart"

    def __init__(self, topic: str, partition: int, ends: Mapping[str, int | None]) -> None:
        """Take the offset in the source that each changelog holds, None of one that should hold one and does not."""
        said = " and ".join(
            f"{changelog} holds no position" if offset is None else f"{changelog} ends at {offset}"
            for changelog, offset in sorted(ends.items())
        )
        super().__init__(
            f"{topic}/{partition}: the lane's changelogs are apart: {said}. One has lost records, or Kafka has committed a"
            f" transaction in part. Restore the one that is behind, or delete all of the lane's changelogs and {_REBUILD}."
        )


class ChangelogCut(LaneStopped):
    """
    Records were deleted from the beginning of a changelog, and the state of whoever has not changed since with them.

    Compaction leaves a partition's first offset where it is, at 0. Retention and DeleteRecords move it, and Kafka lets them only
    while cleanup.policy has `delete`.
    """

    reason = "changelog_cut"

    def __init__(self, topic: str, partition: int, begins: Mapping[str, int]) -> None:
        """Take the first offset of each changelog that was cut."""
        said = " and ".join(f"{changelog} begins at offset {offset}" for changelog, offset in sorted(begins.items()))
        super().__init__(
            f"{topic}/{partition}: records were deleted from the beginning of the lane's changelogs: {said}, not at 0. State that has"
            f" not changed since is gone. Set cleanup.policy=compact, delete all of the lane's changelogs and {_REBUILD}."
        )


class TooManyRaises(LaneStopped):
    """So many records raised in a row, or so many restores in a short time, that the code must be wrong, not the records."""

    reason = "raises"
    clean = False


class NotThisVersion(LaneStopped):
    """A record of the source, or the lane's own state, is of a version that this code does not know."""

    reason = "version"

    def __init__(
        self, topic: str, partition: int, offset: int | None, cause: BaseException, *, clean: bool, where: str = ""
    ) -> None:
        """Take the offset of the record; None where it is the lane's state, whose record is `where`."""
        what = f"offset {offset}" if offset is not None else f"its state ({where})" if where else "its state"
        super().__init__(
            f"{topic}/{partition}: {what} is of a version that this one does not know ({cause}). Install the version "
            "that wrote it, or a later one, and restart: the lane goes on where it is. Nothing of it is lost."
        )
        self.clean = clean


class DamagedSource(LaneStopped):
    """A broker gives a batch of the source that is not what was written."""

    reason = "source_damaged"

    def __init__(self, topic: str, partition: int, offset: int, detail: str) -> None:
        """Take how far the lane has come."""
        super().__init__(
            f"{topic}/{partition}: soon after offset {offset} the source is damaged on the broker that leads it ({detail})."
            " Let another replica lead and restart this worker; see docs/runbooks/TidemarkLaneStopped.md. The other lanes go on."
        )


class UnreadableState(LaneStopped):
    """A record of the lane's changelogs is no state at all: another worker would meet the same, so none of them ends for it."""

    reason = "state"
    clean = False

    def __init__(self, topic: str, partition: int, where: str, cause: BaseException) -> None:
        """Take the record at fault, empty where it is not known."""
        super().__init__(
            f"{topic}/{partition}: its state cannot be restored ({where or 'which record is at fault is not known'}:"
            f" {type(cause).__name__}: {cause}). If another program wrote to the changelog, see"
            " docs/runbooks/TidemarkLaneStopped.md; otherwise report it. The other lanes go on."
        )


class DamagedChangelog(LaneStopped):
    """A broker gives a batch of the lane's changelogs that is not what was written: another worker would get the same."""

    reason = "state"
    clean = False

    def __init__(self, topic: str, partition: int, cause: BaseException) -> None:
        super().__init__(
            f"{topic}/{partition}: its changelogs are damaged on the broker that leads them ({type(cause).__name__}: {cause})."
            " Let another replica lead and restart this worker; see docs/runbooks/TidemarkLaneStopped.md. The other lanes go on."
        )


class Unanswered(LaneStopped):
    """A record cannot be folded before a record further down the log has answered; nothing was changed by it."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class FoldRaised(TidemarkError):
    """A fold left its processor in an unknown state: restore the processor, dead-letter that record, fold again."""

    def __init__(self, offset: int | None, cause: BaseException, step: int = 0) -> None:
        """Take the offset at fault (None: one of those since the last transaction, it is not known which) and its good steps."""
        super().__init__(f"offset {offset}: {type(cause).__name__}: {cause}")
        self.offset = offset
        self.step = step
        self.cause = cause


class FailStop(Fatal):
    """Memory may be ahead of the log, or another worker owns the lane: leave at once, commit nothing more."""


class SourceRecreated(LaneStopped):
    """The source was deleted and created again: the records that the position refers to are gone."""

    reason = "source_recreated"

    def __init__(self, topic: str, partition: int, was: bytes, found: bytes) -> None:
        super().__init__(
            f"{topic}/{partition}: the topic was deleted and recreated: the lane has folded {was.hex()}, there is "
            f"{found.hex()}. Restore the previous topic, or delete the changelogs and the group's offsets to fold the "
            "new one from its beginning: the state then knows only what is in it."
        )


class SourceBehind(LaneStopped):
    """The source ends before the lane's position: it has lost records."""

    reason = "source_behind"

    def __init__(self, topic: str, partition: int, end: int, position: int) -> None:
        super().__init__(
            f"{topic}/{partition}: the log ends at {end}, but the lane has folded up to {position}. The topic has lost "
            "records: restore it, or see docs/runbooks/TidemarkLaneStopped.md for how to go on with what is left."
        )


class InstanceTaken(Misfit):
    """Another live process is the same member of the group; both would take the partitions from each other for ever."""

    def __init__(self, instance: str, holder: str) -> None:
        problem = (
            f"the group member {instance} is {holder}: give each worker of a service on one host a TIDEMARK_SLOT of its"
            " own, and each host a name of its own (or set TIDEMARK_ENGINE_INSTANCE)"
        )
        super().__init__([problem])
