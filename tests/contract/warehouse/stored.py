"""Rows for tests of the stores, as the topics' examples make them."""

from typing import Any

from schemas import codec
from services.shared.units import DAY_MS
from services.warehouse.domain.rows import Place, Row, row
from tests.support import warehouse_events
from tests.support.plans import marked

T0 = 1_764_547_200_000  # 2025-12-01, midnight UTC


def example(path: str, **changes: Any) -> dict[str, Any]:
    value = warehouse_events.example(path, **changes)
    return codec.decode(codec.encoder(path.split("/", maxsplit=1)[0])(value))[1]


def event(offset: int, event_id: str, *, partition: int = 0, topic: str = "usage-events", **changes: Any) -> Row:
    sent = {"kind": "TRACK", "name": "Report Exported", **changes}
    value = example("usage_event/examples/track.json", event_id=event_id, **marked(sent))
    made = row(Place(topic, partition, offset, T0 + offset), "usage_event", value)
    assert made is not None
    return made


def health(offset: int, account: str, **changes: Any) -> Row:
    value = example("account_health/examples/red.json", account=account, **changes)
    made = row(Place("account-health", 0, offset, T0 + offset), "account_health", value)
    assert made is not None
    return made


def signal(offset: int, account: str, rule: str, number: int, transition: str, **changes: Any) -> Row:
    episode = f"{account}/{rule}/{T0}"
    value = example(
        "signal/examples/usage_decline_firing.json",
        **{
            "account": account,
            "rule": rule,
            "episode_id": episode,
            "signal_id": f"{episode}/{number}",
            "transition": transition,
            "transition_number": number,
            "at": T0 + number * DAY_MS,
            **changes,
        },
    )
    made = row(Place("risk-signals", 1, offset, T0 + offset), "signal", value)
    assert made is not None
    return made
