"""Losses, contacts and judgements of signals that people have recorded, as SQL."""

# ruff: noqa: S608  only names and numbers of ours are put into the text

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from services.shared.tracking_plan.contacts import CONTACT, RecordedContact
from services.shared.tracking_plan.judgements import JUDGEMENT, VERDICTS
from services.shared.tracking_plan.losses import LOSS, loss_of
from services.shared.tracking_plan.values import MAX_RECORD_TEXT
from services.warehouse.clickhouse.asking import ClickHouseAsking
from services.warehouse.clickhouse.events import COUNTS
from services.warehouse.ports import JUDGEMENT_TOLD, MOST_RECORDED, Found

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
        since = "occurred_at >= fromUnixTimestamp64Milli({since:Int64})"
        return self._records(CONTACT, since, 1, told=_texts(RecordedContact._fields), since=since_ms)

    def judgements(self, since_ms: int, until_ms: int | None = None) -> list[Found]:
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
        by = f"account, {episode}"
        return self._records(JUDGEMENT, chosen, 1, by, told, **given)

    def _records(
        self, name: str, chosen: str, most: int, by: str = "account", told: str = "properties", **given: Any
    ) -> list[Found]:
        """Return what is `told` of the latest records, latest first, so many of each account, or of what else tells them apart."""
        return self._found(
            f"""SELECT account, toUnixTimestamp64Milli(occurred_at) AS occurred_at_ms, {told} FROM events
            WHERE name = {{name:String}} AND kind = 'TRACK' AND account != '' AND {COUNTS} AND {chosen}
            ORDER BY occurred_at_ms DESC, topic, partition, offset DESC LIMIT {most} BY {by} LIMIT {MOST_RECORDED}""",
            name=name,
            **given,
        )


def _texts(names: Iterable[str], of: str = "") -> str:
    """Return columns of texts that are properties, cut; with `of`, values of another JSON type are empty."""
    cut = {name: f"substringUTF8(JSONExtractString(properties, '{name}'), 1, {MAX_RECORD_TEXT})" for name in names}
    if of:
        cut = {name: f"if(JSONType(properties, '{name}') = '{of}', {text}, '')" for name, text in cut.items()}
    return ", ".join(f"{text} AS {name}" for name, text in cut.items())
