"""Users whose events wait for an account: read from the state of the lanes of attribution."""

from __future__ import annotations

from typing import NamedTuple

from schemas.topics import SCORER_USAGE_UNATTRIBUTED_STATE
from services.scorer.domain.attribution.membership import NO_ACCOUNT, Waits
from services.scorer.domain.attribution.state import ALIASES_KEY, USER, WAITING, AttributionState
from services.scorer.domain.attribution.waiting import WaitingBounds
from services.shared.kafka.reading import ends, scan
from services.shared.kafka.settings import KafkaSettings

_NO_LIMIT = 1 << 62


class UnresolvedUser(NamedTuple):
    """One identified user whose account nobody has said."""

    user: str
    """Pseudonym."""
    events: int
    """That wait."""
    since_ms: int
    """Log time from which the oldest waits, milliseconds since 1970 UTC."""
    reason: str
    """no_account: nothing is known. several_accounts: events name several."""
    partition: int


async def unresolved(kafka: KafkaSettings) -> list[UnresolvedUser]:
    """
    Return the users whose events wait, those with the most events first; it reads the whole state topic twice.

    Raises:
        IncompatibleState: a newer version wrote it.
    """
    limits = await ends(kafka, SCORER_USAGE_UNATTRIBUTED_STATE, committed=True)
    records: dict[int, dict[bytes, bytes]] = {partition: {} for partition in limits}
    async for record in scan(kafka, SCORER_USAGE_UNATTRIBUTED_STATE, stop=limits):
        if record.key is not None and record.key.startswith(WAITING):
            _keep(records[record.partition], record.key, record.value)
    states = {partition: _state(found) for partition, found in records.items()}
    wanted = {(partition, USER + name.encode()) for partition in states for name in states[partition].waiting.users()}
    async for record in scan(kafka, SCORER_USAGE_UNATTRIBUTED_STATE, stop=limits):
        if record.key is not None and (record.key == ALIASES_KEY or (record.partition, record.key) in wanted):
            _keep(records[record.partition], record.key, record.value)
    found = [user for partition in sorted(records) for user in _users(partition, _state(records[partition]))]
    return sorted(found, key=lambda user: (-user.events, user.user))


def _keep(records: dict[bytes, bytes], key: bytes, value: bytes | None) -> None:
    if value is None:
        records.pop(key, None)
    else:
        records[key] = value


def _state(records: dict[bytes, bytes]) -> AttributionState:
    state = AttributionState(1_000, WaitingBounds(), _NO_LIMIT)
    for key in sorted(records):
        state.restore(key, records[key])
    for _ in state.restoring():
        pass
    return state


def _users(partition: int, state: AttributionState) -> list[UnresolvedUser]:
    found = []
    for name in state.waiting.users():
        events = [event for event in state.waiting.of(name) if event.identified]
        if events:
            user = state.users.get(name)
            decision = user.decide(events[0].occurred_at, state.aliases) if user is not None else NO_ACCOUNT
            reason = (decision if isinstance(decision, Waits) else NO_ACCOUNT).reason
            found.append(UnresolvedUser(name, len(events), min(event.since for event in events), reason, partition))
    return found
