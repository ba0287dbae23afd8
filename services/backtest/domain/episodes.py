"""Episodes of signals as they are measured: when each fired, rose and ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

SEVERITIES = {"INFO": 1, "WARNING": 2, "CRITICAL": 3}


class Episode(msgspec.Struct, frozen=True, array_like=True):
    """One episode of one rule for one account. Times are log times, milliseconds since 1970 UTC."""

    account: str
    rule: str
    category: str
    """RISK or EXPANSION."""
    steps: tuple[tuple[int, int], ...]
    """Time and severity (1 info, 2 warning, 3 critical) of the firing and of each rise."""
    ended_at: int | None = None
    """None: still open at the end of the history."""
    reason: str = ""
    """Why it ended: recovered, inhibited, expired or forgotten."""

    @property
    def started_at(self) -> int:
        """When it fired."""
        return self.steps[0][0]

    def since(self, severity: int) -> int | None:
        """Return when it first had this severity or a higher one; None: it never did."""
        return next((at for at, reached in self.steps if reached >= severity), None)


def episodes_of(signals: Iterable[Mapping[str, Any]]) -> list[Episode]:
    """Put the transitions of signals together, those of an episode in their order; sorted by start and account."""
    found: dict[str, Episode] = {}
    for signal in signals:
        key = signal["episode_id"]
        step = (signal["at"], SEVERITIES[signal["severity"]])
        before = found.get(key)
        if before is None:
            found[key] = Episode(signal["account"], signal["rule"], signal["category"], (step,))
        elif signal["transition"] == "RESOLVED":
            found[key] = msgspec.structs.replace(before, ended_at=signal["at"], reason=signal["resolved_reason"])
        else:
            found[key] = msgspec.structs.replace(before, steps=(*before.steps, step))
    return sorted(found.values(), key=lambda episode: (episode.started_at, episode.account, episode.rule))
