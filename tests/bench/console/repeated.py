"""A past of few accounts as one of many: each repeated under other names, with other revenue."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec

from services.warehouse.domain.rows import Row, columns
from tests.bench.console.past import Past

_WEEK = 7


def repeated(past: Past, accounts: int) -> Past:
    """
    Return a past with so many accounts.

    The copies have their health of one day a week and their signals, without events: what lists and charts are made of.
    """
    known = sorted({row[_at("account_health", "account")] for row in past.tables["account_health"]})
    copies = max(0, -(-accounts // len(known)) - 1)
    if not copies:
        return past
    weekly = _weekly(past.tables["account_health"])
    made = Past({table: list(rows) for table, rows in past.tables.items()}, dict(past.offsets))
    for copy in range(1, copies + 1):
        kept = set(known[: accounts - copy * len(known)])
        factor = Random(copy).lognormvariate(0, 0.8)
        for table, rows in (("account_health", weekly), ("signals", past.tables["signals"])):
            made.tables[table] += [
                _copied(made, table, row, copy, factor) for row in rows if row[_at(table, "account")] in kept
            ]
    return made


def _weekly(rows: list[Row]) -> list[Row]:
    day, account = _at("account_health", "day"), _at("account_health", "account")
    last = max(row[day] for row in rows)
    found = {(row[account], row[day]): row for row in rows if (last - row[day]) % _WEEK == 0}
    return list(found.values())


def _copied(past: Past, table: str, row: Row, copy: int, factor: float) -> Row:
    fields = dict(zip(columns(table), row, strict=True))
    topic = fields["topic"]
    fields["offset"] = past.offsets[topic]
    past.offsets[topic] += 1
    body: dict[str, Any] = msgspec.json.decode(fields["body"])
    for told in (fields, body):
        told["account"] = f"{told['account']}-{copy}"
        for name in ("signal_id", "episode_id"):
            if name in told:
                told[name] = f"{copy}:{told[name]}"
    if table == "account_health":
        fields["name"] = body["facts"]["name"] = f"{fields['name']} {copy}"
        if fields["revenue"]:
            fields["revenue"] = body["facts"]["revenue"] = round(fields["revenue"] * factor, -2)
    else:
        body["account_name"] = f"{body['account_name']} {copy}"
        if body["revenue"]:
            body["revenue"] = round(body["revenue"] * factor, -2)
    fields["body"] = msgspec.json.encode(body).decode()
    return tuple(fields[name] for name in columns(table))


def _at(table: str, column: str) -> int:
    return columns(table).index(column)
