"""Losses, contacts and judgements of signals that people have recorded, as SQL."""

# ruff: noqa: S608  only names and numbers of ours are put into the text

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from services.shared.tracking_plan.contacts import CONTACT, RecordedContact
from services.shared.tracking_plan.judgements import JUDGEMENT, VERDICTS
from services.shared.tracking_plan.losses import LOSS, loss_of
from services.shared.tracking_plan.values import MAX_RECORD_TEXT
from services.warehouse.clickhouse.asking import ClickHouseAsking
from services.warehouse.clickhouse.events import COUNTS
from services.warehouse.ports import JUDGEMENT_TOLD, MOST_LOSSES, MOST_RECORDED, Found, LatestRecords

_LOOKED_AT = 100
"""Records of an account that are looked at where its latest names no day."""
_LOOKED_UP = 100
"""Such accounts at a time: their ids are sent with the question."""
_RECORDS = f"name = {{name:String}} AND kind = 'TRACK' AND account != '' AND {COUNTS}"


class RecordedQueries(ClickHouseAsking):
    """The part of the `Queries` port that is about what people record."""

    def losses(self) -> LatestRecords:
        """Return of each account the latest record of a loss that names a day, or its latest where none does."""
        latest, total = self._latest(MOST_LOSSES, LOSS, "true")
        wrong = [row["account"] for row in latest if not loss_of(row["properties"])]
        valid = [
            row
            for start in range(0, len(wrong), _LOOKED_UP)
            for row in self._earlier_losses(wrong[start : start + _LOOKED_UP])
            if loss_of(row["properties"])
        ]
        found = {row["account"]: row for row in latest} | {row["account"]: row for row in reversed(valid)}
        return LatestRecords(sorted(found.values(), key=lambda row: row["occurred_at"], reverse=True), total)

    def _earlier_losses(self, accounts: Sequence[str]) -> list[Found]:
        return self._records(LOSS, "account IN {accounts:Array(String)}", _LOOKED_AT, accounts=list(accounts))

    def contacts(self, since_ms: int) -> LatestRecords:
        """Return the last contact with each account since a time."""
        since = "occurred_at >= fromUnixTimestamp64Milli({since:Int64})"
        return self._latest(MOST_RECORDED, CONTACT, since, told=_texts(RecordedContact._fields), since=since_ms)

    def judgements(self, since_ms: int, until_ms: int | None = None) -> LatestRecords:
        """Return the last judgement of each episode since a time and before another."""
        episode, verdict = (f"JSONExtractString(properties, '{name}')" for name in ("episode_id", "verdict"))
        chosen = f"""occurred_at >= fromUnixTimestamp64Milli({{since:Int64}})
            AND JSONType(properties, 'episode_id') = 'String' AND lengthUTF8({episode}) BETWEEN 1 AND {MAX_RECORD_TEXT}
            AND {verdict} IN {{verdicts:Array(String)}}"""
        given: dict[str, Any] = {"since": since_ms, "verdicts": list(VERDICTS)}
        if until_ms is not None:
            chosen += " AND occurred_at < fromUnixTimestamp64Milli({until:Int64})"
            given["until"] = until_ms
        told = _texts(JUDGEMENT_TOLD, of="String")
        return self._latest(MOST_RECORDED, JUDGEMENT, chosen, f"account, {episode}", told, **given)

    def _latest(
        self, most: int, name: str, chosen: str, by: str = "account", told: str = "properties", **given: Any
    ) -> LatestRecords:
        """Return what is `told` of the latest record of each account, or of what else tells them apart; so many at most."""
        rows = self._records(name, chosen, 1, by, told, f"LIMIT {most}", **given)
        if len(rows) < most:
            return LatestRecords(rows, len(rows))
        counted = self._found(
            f"SELECT uniqExact({by}) AS n FROM events WHERE {_RECORDS} AND {chosen}", name=name, **given
        )
        return LatestRecords(rows, counted[0]["n"])

    def _records(
        self,
        name: str,
        chosen: str,
        most: int,
        by: str = "account",
        told: str = "properties",
        limit: str = "",
        **given: Any,
    ) -> list[Found]:
        """Return what is `told` of the latest records, latest first, so many of each account, or of what else tells them apart."""
        return self._found(
            f"""SELECT account, toUnixTimestamp64Milli(occurred_at) AS occurred_at_ms, {told} FROM events
            WHERE {_RECORDS} AND {chosen}
            ORDER BY occurred_at_ms DESC, topic, partition, offset DESC LIMIT {most} BY {by} {limit}""",
            name=name,
            **given,
        )


def _texts(names: Iterable[str], of: str = "") -> str:
    """Return columns of texts that are properties, cut; with `of`, values of another JSON type are empty."""
    cut = {name: f"substringUTF8(JSONExtractString(properties, '{name}'), 1, {MAX_RECORD_TEXT})" for name in names}
    if of:
        cut = {name: f"if(JSONType(properties, '{name}') = '{of}', {text}, '')" for name, text in cut.items()}
    return ", ".join(f"{text} AS {name}" for name, text in cut.items())
