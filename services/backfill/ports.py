"""What a drive asks of the lanes whose clock it takes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from services.shared.kafka.settings import KafkaSettings


class DrivenLane(Protocol):
    """One lane of usage-events, as its last transaction left it."""

    @property
    def position(self) -> int:
        """Return the offset of usage-events at which it goes on."""

    @property
    def driven(self) -> bool:
        """Return whether a driver moves its clock."""

    @property
    def epoch(self) -> int:
        """Return the epoch of its clock, 0 for the live one."""

    @property
    def counted(self) -> bool:
        """Return whether it has ever applied an event: such a lane lets nobody drive."""

    @property
    def deferred(self) -> int:
        """Return how many events and links of people drives have put off."""


ReadLanes = Callable[[KafkaSettings], Awaitable[Mapping[int, DrivenLane]]]
"""Read what the lanes have committed, by partition."""
