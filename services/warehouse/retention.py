"""
How long rows are kept: the TTL of each table, brought in line with the settings at start.

Age counts from when Kafka took the record, as it does on the topics: what a backfill brings is new, however long ago it
happened. ClickHouse deletes what is too old when it merges, within about four hours.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from clickhouse_connect.driver.client import Client

from services.warehouse.clickhouse.asking import answered, engines
from services.warehouse.clickhouse.derived import BY_DAY
from services.warehouse.settings import RetentionSettings

log = logging.getLogger(__name__)


def days_of(table: str, settings: RetentionSettings) -> int | None:
    """Return for how many days the rows of a table are kept; None: for ever, or as its migration says."""
    if table in ("event_details", "people"):
        return settings.details_days
    if table == "events" or table in BY_DAY:
        return settings.events_days
    if table.startswith("account_health"):
        return settings.health_days
    if table in ("signals", "signal_episodes"):
        return settings.signals_days
    return None


def keep_for(client: Client, settings: RetentionSettings) -> Mapping[str, int | None]:
    """
    Set the TTL of each table that the settings speak of, where it differs; return the days of those that changed.

    Raises:
        Retryable: ClickHouse does not answer.
    """
    changed: dict[str, int | None] = {}
    with answered():
        tables = engines(client)
    for table, engine in tables:
        if not _is_set_here(table):
            continue
        days = days_of(table, settings)
        rule = f"toDateTime(appended_at) + toIntervalDay({days})"
        if days is None and " TTL " in engine:
            change = "REMOVE TTL"
        elif days is not None and f"TTL {rule}" not in engine:
            change = f"MODIFY TTL {rule}"
        else:
            continue
        with answered():
            client.command(f"ALTER TABLE {table} {change}")
        changed[table] = days
        log.info("retention_changed", extra={"table": table, "days": days})
    return changed


def _is_set_here(table: str) -> bool:
    named = ("event_details", "people", "events", "signals", "signal_episodes", *BY_DAY)
    return table in named or table.startswith("account_health")
