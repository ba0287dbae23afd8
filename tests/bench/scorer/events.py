"""Events as ingest writes them, evenly over the accounts, with a tick a second of log time on every partition."""

from __future__ import annotations

from collections.abc import Iterator

from schemas import codec
from services.shared.units import DAY_MS
from tests.bench.scorer.history import user

_event = codec.encoder("usage_event")
_tick = codec.encoder("tick")
_NAMES = ("Report Exported", "Dashboard Viewed", "Query Run", "Invite Sent", "Dashboard Viewed", "Query Run")
_MIX = 0x9E3779B97F4A7C15


def stream(
    homes: list[list[str]], total: int, users: int, rate: int, begin: int
) -> Iterator[tuple[int, bytes | None, bytes]]:
    """
    Yield partition, key and value of `total` events and the ticks between them, from the time `begin` on.

    Every account has the same number of events. Of 1,000 events 10 repeat an earlier one, 20 are value events,
    2 open or close a ticket, 1 is an answer to a survey and 1 is of the day before.
    """
    accounts = [(partition, name) for partition, members in enumerate(homes) for name in members]
    step = next(s for s in range(7919, 7919 + len(accounts)) if _coprime(s, len(accounts)))
    earlier: list[tuple[int, bytes, bytes]] = []
    for n in range(total):
        now = begin + n * 1000 // rate
        if n % rate == 0:
            for partition in range(len(homes)):
                yield partition, None, _tick({"at": now, "epoch": 0})
        thousandth = (n * _MIX >> 24) % 1000
        if thousandth < 10 and earlier:
            yield earlier[(n * _MIX >> 30) % len(earlier)]
            continue
        partition, account = accounts[n * step % len(accounts)]
        record = partition, account.encode(), _event(_value(n, thousandth, account, users, now))
        if n % 97 == 0:
            earlier.append(record)
        yield record


def _value(n: int, thousandth: int, account: str, users: int, now: int) -> dict[str, object]:
    name, properties = _NAMES[n % len(_NAMES)], f'{{"rows":{n % 1000},"format":"csv","plan":"pro"}}'
    if thousandth < 30:
        name = "Report Shared"
    elif thousandth < 32:
        name, properties = ("Ticket Opened", "Ticket Closed")[n % 2], f'{{"ticket_id":"t{n % 7}"}}'
    elif thousandth < 33:
        name, properties = "NPS Submitted", f'{{"score":{n % 11}}}'
    late = DAY_MS if thousandth == 33 else 0
    return {
        "event_id": f"{n:08x}-{n * _MIX & 0xFFFFFFFFFFFFFFFF:016x}-bench",
        "id_source": "CLIENT",
        "source": "app",
        "environment": "production",
        "account": account,
        "user": user(n // 7 % users),
        "kind": "TRACK",
        "name": name,
        "occurred_at": now - n % 400 - late,
        "received_at": now,
        "properties": properties,
        "identified": True,
        "via": "EVENT",
    }


def _coprime(a: int, b: int) -> bool:
    while b:
        a, b = b, a % b
    return a == 1
