"""The losses that people have recorded, as SQL."""

# ruff: noqa: S608  only names and numbers of ours are put into the text

from __future__ import annotations

from services.shared.tracking_plan.losses import LOSS
from services.warehouse.clickhouse.asking import ClickHouseAsking
from services.warehouse.clickhouse.events import COUNTS
from services.warehouse.ports import MOST_LOSSES, Found


class LossQueries(ClickHouseAsking):
    """The part of the `Queries` port that is about losses."""

    def losses(self) -> list[Found]:
        """Return the latest record of a loss of each account."""
        return self._found(
            f"""SELECT account, toUnixTimestamp64Milli(occurred_at) AS occurred_at_ms, properties FROM events
            WHERE name = {{name:String}} AND kind = 'TRACK' AND account != '' AND {COUNTS}
            ORDER BY occurred_at_ms DESC, topic, partition, offset DESC LIMIT 1 BY account LIMIT {MOST_LOSSES}""",
            name=LOSS,
        )
