"""
A store with the past of many accounts, made inside of ClickHouse: a generator in Python would take hours.

    python -m tests.bench.warehouse.filling FOLDER [--accounts N] [--days N] [--events N]

Each account has a snapshot at the end of each day, a third of them a signal or two, and events by a steep law: the largest
one has about a twentieth of all. Of 100 events one is a client's retry. Bodies are those of the example, with the account's own score and band.
"""

from __future__ import annotations

import argparse
import time
from contextlib import suppress
from pathlib import Path

from schemas import codec, released
from services.shared.units import DAY_MS
from services.warehouse.clickhouse.store import ClickHouseStore, open_embedded
from services.warehouse.domain.rows import Place, columns, row
from tests.support.waiting import wait_until

_BLOCK = 2_500_000
_SPAN = 5_000_000
"""Events that are stored at once, of all accounts."""
_LONGEST_MERGES_S = 900
_ARRIVALS_DAYS = 35
MEMORY_MB = 6_144
"""For the engine while it fills: it sorts large blocks."""
_MARK = "~account~"
_SCORE = 987_654


def fill(store: ClickHouseStore, accounts: int, days: int, events: int, today: int) -> None:
    """
    Fill an empty store, or go on with one whose filling was ended.

    The last day that is over is the one before `today`; of a store that has all snapshots it is the last of theirs.
    """
    last, snapshots = store._writer.query("SELECT max(day), count() FROM account_health FINAL").result_rows[0]
    if snapshots < days * accounts:
        _health(store, accounts, days, today)
        _signals(store, accounts, today)
    else:
        today = last + 1
    _events(store, accounts, days, events, today)
    _settle(store)


def _example(record: str, path: str) -> dict[str, object]:
    import json

    value: dict[str, object] = json.loads((released.ROOT / path).read_text("utf-8"))
    return codec.decode(codec.encoder(record)({**value, "account": _MARK}))[1]


def _body(record: str, path: str, **changes: object) -> str:
    made = row(
        Place("account-health" if record == "account_health" else "risk-signals", 0, 0, 0),
        record,
        {**_example(record, path), **changes},
    )
    assert made is not None
    return str(made[-1]).replace("\\", "\\\\").replace("'", "\\'")


def _health(store: ClickHouseStore, accounts: int, days: int, today: int) -> None:
    body = _body("account_health", "account_health/examples/red.json", score_tenths=_SCORE)
    for name, value in ((_MARK, "', account, '"), (str(_SCORE), "', toString(score), '")):
        body = body.replace(name, value)
    for first in range(0, days, 10):
        count = min(10, days - first) * accounts
        store._writer.command(
            f"""INSERT INTO account_health ({", ".join(columns("account_health"))})
            WITH number % {accounts} AS a, {first} + intDiv(number, {accounts}) AS d,
                concat('account-', toString(a)) AS account,
                toInt64(greatest(0, least(1000, 500 + 400 * sin(a) + 150 * sin(a * 7 + d / 30)))) AS score,
                multiIf(score < 400, 'RED', score < 700, 'YELLOW', 'GREEN') AS band
            SELECT 'account-health', toUInt32(a % 24), toUInt64({first} * {accounts} + number), at_, account, d + 1,
                fromUnixTimestamp64Milli(toInt64(({today - days} + d + 1) * {DAY_MS}), 'UTC') AS at_,
                {today - days} + d, 'DAY_CLOSE', false, ['ONBOARDING', 'ADOPTION', 'ONGOING', 'RENEWAL'][1 + a % 4], band,
                score, score - 3, 0.9, 400 - score, 'UNKNOWN', {today - days} + d, 0, concat('Company ', toString(a)),
                concat('owner', toString(a % 40), '@example.com'), round(exp(8 + 4 * abs(sin(a * 3)))), 40,
                {today} + a % 365, concat('{body}')
            FROM numbers({count})""",
            settings={"max_block_size": 20_000, "max_insert_block_size": 100_000, "max_threads": 1},
        )


def _signals(store: ClickHouseStore, accounts: int, today: int) -> None:
    body = _body("signal", "signal/examples/usage_decline_firing.json").replace(_MARK, "', account, '")
    store._writer.command(
        f"""INSERT INTO signals ({", ".join(columns("signals"))})
        WITH number % {accounts} AS a, concat('account-', toString(a)) AS account, intDiv(number, {accounts}) AS n
        SELECT 'risk-signals', toUInt32(a % 24), number, at_, concat(account, '/', toString(n), '/1'),
            concat(account, '/', toString(n)), account, 'usage_decline', if(n % 7 = 0, 'EXPANSION', 'RISK'),
            ['INFO', 'WARNING', 'CRITICAL'][1 + number % 3], if(n < 18 OR a % 3, 'RESOLVED', 'FIRING'), 1, at_,
            fromUnixTimestamp64Milli(toInt64({today - 20} + n) * {DAY_MS} + a, 'UTC') AS at_, false,
            concat('owner', toString(a % 40), '@example.com'), round(exp(8 + 4 * abs(sin(a * 3)))), {today} + a % 365,
            concat('{body}')
        FROM numbers({20 * accounts})"""
    )


def _events(store: ClickHouseStore, accounts: int, days: int, events: int, today: int) -> None:
    """
    Fill span by span of time, and within a span account by account: blocks come almost sorted, and an account is in few parts.

    The first account has `accounts ** (-1 / 3)` of all events, and the law goes on with the cube. Offsets rise with the time of the event.
    """
    spans = max(1, events // _SPAN)
    start, length = (today - days) * DAY_MS, days * DAY_MS // spans
    stored = store._writer.query("SELECT count(), max(offset) FROM events").result_rows[0]
    known = stored[1] + 1 if stored[0] else 0
    is_detached = False
    for span in range(spans):
        first, count = span * events // spans, (span + 1) * events // spans - span * events // spans
        if first + count <= known:
            continue
        is_recent = start + (span + 1) * length >= (today - _ARRIVALS_DAYS) * DAY_MS
        if is_recent == is_detached:  # what the view would take of earlier days is deleted at the first merge
            store._writer.command(f"{'ATTACH TABLE IF NOT EXISTS' if is_recent else 'DETACH TABLE'} arrivals_of")
            is_detached = not is_recent
        store._writer.command(
            f"""INSERT INTO events ({", ".join(columns("events"))})
            WITH toUInt64({first} + number - (number % 100 = 1)) AS n, cityHash64(n) AS h,
                toUInt64({accounts} * pow((number + 0.5) / {count}, 3)) AS a,
                {count} * pow(a / {accounts}, 1 / 3) AS begun, {count} * pow((a + 1) / {accounts}, 1 / 3) AS ended,
                h % (3 + a % 200 + intDiv(2000, a + 1)) AS u,
                {start + span * length} + toInt64({length} * least(1, greatest(0, (number - begun) / (ended - begun)))) AS ms
            SELECT 'usage-events', toUInt32(a % 24), {first} + number, at_, hex(h), 'CLIENT', 'web', 'production',
                concat('account-', toString(a)) AS account, concat('u_', leftPad(toString(a), 8, '0'), leftPad(toString(u), 12, '0')),
                true, false, 'call', 'PERSON', 'TRACK', concat('Feature ', toString(h % 37)), true, at_,
                fromUnixTimestamp64Milli(ms, 'UTC') AS at_, 0, 0, false, concat('{{"n":', toString(h % 1000), '}}')
            FROM numbers({count})""",
            settings={"max_block_size": 65_536, "min_insert_block_size_rows": _BLOCK, "min_insert_block_size_bytes": 0},
        )


def _settle(store: ClickHouseStore) -> None:
    """Wait until the engine has merged what it merges at once: it would take the time of the first questions."""
    with suppress(TimeoutError):  # then they take some
        wait_until(
            lambda: not store._writer.query("SELECT count() FROM system.merges").result_rows[0][0], _LONGEST_MERGES_S
        )


def main() -> None:
    """Fill the store in a folder."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=210)
    parser.add_argument("--events", type=int, default=10_000_000)
    options = parser.parse_args()
    store = open_embedded(options.folder, "tidemark", MEMORY_MB)
    started = time.monotonic()
    fill(store, options.accounts, options.days, options.events, int(time.time() * 1000) // DAY_MS)
    print(f"filled in {time.monotonic() - started:.0f} s")
    store.close()


if __name__ == "__main__":
    main()
