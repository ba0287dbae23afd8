"""What a group has committed of a source partition: the offset, and what the lane's writer put beside it, Kafka's metadata."""

from __future__ import annotations

import re
from typing import NamedTuple

from services.shared.engine.position import Position

_METADATA = re.compile(r"(\d+)\.(\d+)>(\d+)(?:<(\d+)\.(\d+))?;(.*)", re.ASCII)


class Committed(NamedTuple):
    """How far a group has come, as its last transaction says."""

    position: Position
    """The step is 0 where nobody said it."""
    before: Position | None = None
    """Where that transaction began: the position that the lane's changelogs held until then; None where nobody said it."""
    state_ids: str = ""
    """The changelogs that the state was restored from, as `Bounds.state_ids`."""
    quiet_until: Position | None = None
    """Where a lane that is being rebuilt begins to write outputs again; None for one that is not."""

    @property
    def given_out(self) -> Position:
        """Up to where everything was folded and given out: the position, or in a lane that is being rebuilt what it had reached."""
        return max(self.position, self.quiet_until or self.position)

    @property
    def metadata(self) -> str:
        """Return what stands beside the offset; Kafka takes up to 4,096 bytes."""
        before, until = self.before or self.position, self.quiet_until
        quiet = f"<{until.offset}.{until.step}" if until is not None else ""
        return f"{before.offset}.{before.step}>{self.position.step}{quiet};{self.state_ids}"

    @property
    def stores(self) -> set[str]:
        """The stores into whose changelogs the last transaction wrote the position, as far as it is known."""
        return set() if self.before is None else {each.partition("=")[0] for each in self.state_ids.split()}

    @classmethod
    def read(cls, offset: int, metadata: str) -> Committed:
        """Read it back; of an offset that another program has committed, only the offset is known."""
        found = _METADATA.fullmatch(metadata)
        if found is None:
            return cls(Position(offset))
        before, step, after, quiet, quiet_step, state_ids = found.groups()
        until = Position(int(quiet), int(quiet_step)) if quiet is not None else None
        return cls(Position(offset, int(after)), Position(int(before), int(step)), state_ids, until)
