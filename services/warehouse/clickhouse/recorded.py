"""Losses and contacts that people have recorded, as SQL."""

# ruff: noqa: S608  only names and numbers of ours are put into the text

from __future__ import annotations

from typing import Any

from services.shared.tracking_plan.contacts import CONTACT
from services.shared.tracking_plan.losses import LOSS, loss_of
from services.warehouse.clickhouse.asking import ClickHouseAsking
from services.warehouse.clickhouse.events import COUNTS
from services.warehouse.ports import MOST_RECORDED, Found

_LOOKED_AT = 100
"""Records of an account that are looked at where its latest names no day."""


class RecordedQueries(ClickHouseAsking):
    """The part of the `Queries` port that is about what people record."""

    def losses(self) -> list[Found]:
        """Return of each account the latest record of a loss that names a day, or its latest where none does."""
        latest = self._records(LOSS, "true", 1)
        wrong = {row["account"] for row in latest if not loss_of(row["properties"])}
        if not wrong:
            return latest
        earlier = self._records(LOSS, "account IN {accounts:Array(String)}", _LOOKED_AT, accounts=sorted(wrong))
        valid = [row for row in earlier if loss_of(row["properties"])]
        found = {row["account"]: row for row in latest} | {row["account"]: row for row in reversed(valid)}
        return sorted(found.values(), key=lambda row: row["occurred_at"], reverse=True)

    def contacts(self, since_ms: int) -> list[Found]:
        """Return the last contact with each account since a time."""
        return self._records(CONTACT, "occurred_at >= fromUnixTimestamp64Milli({since:Int64})", 1, since=since_ms)

    def _records(self, name: str, chosen: str, most: int, **given: Any) -> list[Found]:
        """Return the latest records of accounts, latest first, so many of each."""
        return self._found(
            f"""SELECT account, toUnixTimestamp64Milli(occurred_at) AS occurred_at_ms, properties FROM events
            WHERE name = {{name:String}} AND kind = 'TRACK' AND account != '' AND {COUNTS} AND {chosen}
            ORDER BY occurred_at_ms DESC, topic, partition, offset DESC LIMIT {most} BY account LIMIT {MOST_RECORDED}""",
            name=name,
            **given,
        )
