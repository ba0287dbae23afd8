"""What one transaction of a lane carries."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.shared.engine.fold.committed import Committed
from services.shared.engine.position import UNKNOWN_TOPIC, Position
from services.shared.engine.processor import Append, Output


@dataclass(slots=True)
class Transaction:
    """What one transaction makes durable, all of it or nothing."""

    position: Position
    """Where it ends; until it is taken, where it begins."""
    topic_id: bytes = UNKNOWN_TOPIC
    """The topic in which the position counts."""
    state_ids: str = ""
    """The changelogs that the state was restored from, as `Bounds.state_ids`."""
    changes: dict[tuple[str, bytes], bytes | None] = field(default_factory=dict)
    outputs: list[Output] = field(default_factory=list)
    appends: list[Append] = field(default_factory=list)
    records: int = 0
    dead_letters: int = 0
    size: int = 0
    """Bytes of keys and values gathered so far."""
    quiet_until: Position | None = None
    """Up to where nothing is given out, in a lane that is being rebuilt."""
    before: Position = field(init=False)
    """Where it begins: what the changelogs hold until it is durable."""

    def __post_init__(self) -> None:
        """Begin at the position that is given."""
        self.before = self.position

    def encoded_position(self) -> bytes:
        """Return what stands in each changelog once this is durable."""
        return self.position.encode(self.topic_id)

    def committed(self) -> Committed:
        """Return what the group commits with it."""
        until = self.quiet_until
        # Not yet with the one that goes beyond: committed in part, it is folded again.
        over = until is None or self.before >= until
        return Committed(self.position, self.before, self.state_ids, None if over else until)
